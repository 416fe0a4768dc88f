import { readFileSync } from 'node:fs'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const startsPrograms =
  /support\/(run-cli|loyalty\/(processor|program)-process|loyalty\/threads-world)|standalone\/platform/

/**
 * Files whose tests start programs of the product take longest: begun first, none of them is still at work when all others
 * are done. Else the order is vitest's: the largest first, and once they have run here, those that took longest.
 */
export class ProgramsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const long = new Set(sorted.filter(({ moduleId }) => startsPrograms.test(readFileSync(moduleId, 'utf8'))))
    return [...long, ...sorted.filter((file) => !long.has(file))]
  }
}
