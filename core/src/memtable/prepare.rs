//! Memory made ready before a memtable needs it: the first touch of a fresh page costs more than an insert, and a background task
//! can pay it as well as a writer.
//!
//! Spawned by `db`. Without it all works the same, but writers touch their pages themselves. What it prepares lies in the pool,
//! counts as held there, and is only ever made after a memtable showed that it grows.

use super::arena::ArenaPool;
use crate::env::{Bell, Next, Task};
use std::sync::Arc;

/// Plain blocks kept ready for a growing memtable: at full speed one lasts a few milliseconds.
const BLOCKS_READY: usize = 4;

struct Preparer {
    pool: Arc<ArenaPool>,
}

impl ArenaPool {
    /// The task that prepares memory, and the bell that wakes it.
    pub fn preparer(self: &Arc<Self>) -> (Arc<Bell>, Box<dyn Task>) {
        (self.demand.bell.clone(), Box::new(Preparer { pool: self.clone() }))
    }
}

impl Task for Preparer {
    fn step(&mut self) -> Next {
        let demand = &self.pool.demand;
        if demand.is_stopped() {
            return Next::Done;
        }
        for (bytes, zeroed) in demand.take() {
            let wanted = if zeroed { 1 } else { BLOCKS_READY };
            for _ in self.pool.spare_blocks(bytes, zeroed)..wanted {
                self.pool.prepare(bytes, zeroed);
            }
        }
        Next::Wait(None)
    }
}
