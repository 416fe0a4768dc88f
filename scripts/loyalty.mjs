#!/usr/bin/env node
// The `loyalty` command: the CLI under the right Node.
import { launch } from './launch.mjs'

await launch('loyalty', process.argv.slice(2))
