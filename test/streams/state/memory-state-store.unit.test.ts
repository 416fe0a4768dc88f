import { MemoryStateStore } from '#streams/state/memory-state-store.ts'
import { stateStoreContract } from '../../contracts/state-store-contract.ts'

stateStoreContract('memory', async () => {
  const store = new MemoryStateStore()
  return { store: () => store, remove: async () => {} }
})
