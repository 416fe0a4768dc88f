import { Agent, setGlobalDispatcher } from 'undici'

/**
 * Importing this file gives `fetch` another undici than Node's own, which ends the process where a server closes its
 * connection while an answer is still held back because nobody reads it (nodejs/undici#5360; mended from undici 8 on).
 * Whoever passes answers on, or reads large ones slowly, imports it.
 */
setGlobalDispatcher(new Agent())
