// Installs the dependencies when they are missing or stale. Fresh means: node_modules/.stamp holds the hash of
// package-lock.json and of the patches; where it does not, what npm itself recorded is compared before anything is deleted.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join, sep } from 'node:path'

/** Makes node_modules match the lock file. True when it does; notes go to `note`. */
export async function installed(root, note) {
  const stamp = join(root, 'node_modules', '.stamp')
  const wanted = fingerprint(root)
  if (read(stamp) === wanted) return true
  if (process.env.LOYALTY_INSTALL === 'skip') {
    note('node_modules does not match package-lock.json; not installing, as LOYALTY_INSTALL=skip says')
    return true
  }
  if (!matchesLock(root)) {
    note(
      `${existsSync(join(root, 'node_modules')) ? 'dependencies are stale' : 'first run'}: npm ci (about a minute) …`,
    )
    if (!(await npm(root, ['ci', '--no-audit', '--no-fund', '--loglevel=error']))) {
      note('npm ci failed; see above')
      return false
    }
    note('dependencies installed')
  } else if (!(await npm(root, ['run', '--silent', 'postinstall']))) {
    note('a patch in patches/ could not be applied; remove node_modules and try again')
    return false
  }
  writeFileSync(stamp, wanted)
  return true
}

function fingerprint(root) {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')))
  const patches = join(root, 'patches')
  for (const name of existsSync(patches) ? readdirSync(patches).sort() : [])
    if (name.endsWith('.patch')) hash.update(name).update(readFileSync(join(patches, name)))
  return hash.digest('hex')
}

/** Compares the lock file with the one npm leaves in node_modules; packages of other platforms may be absent. */
function matchesLock(root) {
  const hidden = read(join(root, 'node_modules', '.package-lock.json'))
  if (hidden === undefined || !existsSync(join(root, 'node_modules', 'node', 'bin'))) return false
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const present = JSON.parse(hidden).packages
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true
    return present[path] === undefined ? optional === true : present[path].version === version
  })
}

/**
 * Runs npm with its output on standard error, by a Node outside node_modules, since `npm ci` deletes the one inside.
 */
function npm(root, args) {
  const outside = (path) => path !== undefined && !path.includes(`${sep}node_modules${sep}node${sep}`)
  const node = [process.env.npm_node_execpath, process.execPath].find(outside)
  const cli = process.env.npm_execpath
  const [command, before] = node !== undefined && cli?.endsWith('.js') ? [node, [cli]] : ['npm', []]
  const bin = `${sep}node_modules${sep}.bin`
  const PATH = (process.env.PATH ?? '').split(delimiter).filter((part) => !part.endsWith(bin))
  const child = spawn(command, [...before, ...args], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, PATH: PATH.join(delimiter) },
    shell: command === 'npm' && process.platform === 'win32',
  })
  return new Promise((resolve) => {
    child.on('error', () => resolve(false))
    child.on('exit', (code) => resolve(code === 0))
  })
}

function read(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}
