//! The way of an event to the journal, the log and the application: a bounded queue, and a task that hands events on in order from one
//! thread.
//!
//! Filled from anywhere, also under locks: pushing never blocks and never calls foreign code. When the queue is full the event is
//! dropped and counted, and the next event that fits is preceded by nothing: [`EventQueue::dropped`] tells.

use super::{Event, Journal, Level, Logger, logger};
use crate::env::{Bell, Env, Next, Task};
use crate::lock::Mutex;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Receives events, one at a time, in order, on the library's own thread. Must not panic; may take its time.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// How many events may wait for a slow listener.
const CAPACITY: usize = 1024;

thread_local! {
    /// The queue whose listener or logger runs on this thread, as a number; 0: none. No destructor runs at thread exit.
    static CALLING: Cell<usize> = const { Cell::new(0) };
}

/// Where events go.
#[derive(Default)]
struct Outlets {
    journal: Option<Journal>,
    listener: Option<Listener>,
    logger: Option<(Level, Logger)>,
}

/// The queue of one database; with nobody to hear it keeps nothing.
pub struct EventQueue {
    env: Env,
    /// Until the task has them, which lets go of them when it ends: a listener does not outlive the closing.
    outlets: Mutex<Outlets>,
    is_heard: bool,
    waiting: Mutex<VecDeque<Event>>,
    bell: Arc<Bell>,
    dropped: AtomicU64,
    stopped: AtomicBool,
    /// Nothing more is handed on.
    cut: AtomicBool,
}

impl EventQueue {
    /// A queue that leads to `journal`, `listener`, and from a level on to `logger`.
    pub fn new(
        env: Env,
        journal: Option<Journal>,
        listener: Option<Listener>,
        logger: Option<(Level, Logger)>,
    ) -> Arc<Self> {
        Arc::new(Self {
            env,
            is_heard: journal.is_some() || listener.is_some() || logger.is_some(),
            outlets: Mutex::new(Outlets { journal, listener, logger }),
            waiting: Mutex::default(),
            bell: Arc::default(),
            dropped: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        })
    }

    /// Queues an event, stamped with the time.
    pub fn push(&self, mut event: Event) {
        if !self.is_heard {
            return;
        }
        event.unix_nanos = self.env.runtime.unix_nanos();
        let mut waiting = self.waiting.lock();
        if waiting.len() >= CAPACITY {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(event);
        drop(waiting);
        self.bell.ring();
    }

    /// How many events were dropped because the journal or the listener was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The task that hands events on, and its bell; `None` if nobody hears them. Called once.
    pub fn dispatcher(self: &Arc<Self>) -> Option<(Arc<Bell>, Box<dyn Task>)> {
        self.is_heard.then(|| {
            let outlets = std::mem::take(&mut *self.outlets.lock());
            let task: Box<dyn Task> = Box::new(Dispatcher { queue: self.clone(), outlets });
            (self.bell.clone(), task)
        })
    }

    /// Whether the caller is the listener or the logger: it must not wait for the task to end.
    pub fn is_calling(&self) -> bool {
        CALLING.get() == std::ptr::from_ref(self).addr()
    }

    /// Lets the task end once everything queued so far was handed on. If the listener asks for it, nobody can wait for that,
    /// and the rest is dropped: the directory is about to be somebody else's.
    pub fn stop(&self) {
        self.cut.store(self.is_calling(), Ordering::SeqCst);
        self.stopped.store(true, Ordering::SeqCst);
        self.bell.ring();
    }
}

struct Dispatcher {
    queue: Arc<EventQueue>,
    outlets: Outlets,
}

impl Task for Dispatcher {
    fn step(&mut self) -> Next {
        let stopped = self.queue.stopped.load(Ordering::SeqCst);
        let event = self.queue.waiting.lock().pop_front();
        match event {
            Some(event) => {
                // First, so that what a listener does about it comes after it.
                if let Some(journal) = &mut self.outlets.journal {
                    journal.write(&event);
                }
                let before = CALLING.replace(Arc::as_ptr(&self.queue).addr());
                if let Some((least, logger)) = &self.outlets.logger {
                    logger::log(*least, logger, &event);
                }
                // A logger may have let the last handle go.
                if let Some(listener) = &self.outlets.listener
                    && !self.queue.cut.load(Ordering::SeqCst)
                {
                    listener(&event);
                }
                CALLING.set(before);
                if self.queue.cut.load(Ordering::SeqCst) { Next::Done } else { Next::Again }
            }
            None if stopped => Next::Done,
            None => Next::Wait(None),
        }
    }
}
