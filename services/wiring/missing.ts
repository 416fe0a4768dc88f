import { LoyaltyError } from '#streams/core/error.ts'

/** For a setting that `start` finds by itself and a program started alone must be given. Throws `config_missing`. */
export function missing(variable: string): never {
  throw new LoyaltyError(
    'config_missing',
    `${variable} is not set; \`loyalty start\` sets it for the programs it runs`,
    {
      details: { variable },
    },
  )
}
