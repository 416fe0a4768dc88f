import { listen, type RunningServer } from '../platform/http.ts'
import { createApiApp } from './app.ts'
import type { ApiDeps } from './ports.ts'
import { openState } from './state.ts'

export interface ApiServer {
  readonly port: number
  readonly bind: string
}

/** Starts the API. `close` ends requests under way first. Errors: `port_in_use`. */
export async function startApi(deps: ApiDeps, server: ApiServer): Promise<RunningServer> {
  const state = openState(deps)
  const running = await listen(createApiApp(state), server)
  return {
    ...running,
    close: async () => {
      await running.close()
      await state.programme.close()
    },
  }
}
