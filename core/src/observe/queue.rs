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
    /// The queue whose events this thread is handing to the application: compared, never followed.
    static HANDING_ON: Cell<*const EventQueue> = const { Cell::new(std::ptr::null()) };
}

/// The queue of one database; with nobody to hear it keeps nothing.
pub struct EventQueue {
    env: Env,
    listener: Option<Listener>,
    logger: Option<(Level, Logger)>,
    /// Until the task has it.
    journal: Mutex<Option<Journal>>,
    is_heard: bool,
    waiting: Mutex<VecDeque<Event>>,
    bell: Arc<Bell>,
    dropped: AtomicU64,
    stopped: AtomicBool,
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
            listener,
            logger,
            journal: Mutex::new(journal),
            waiting: Mutex::default(),
            bell: Arc::default(),
            dropped: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
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

    /// Whether the application is being told an event, by this thread: waiting for the task would be waiting for oneself.
    pub fn is_handing_on(&self) -> bool {
        std::ptr::eq(HANDING_ON.get(), self)
    }

    fn hand_on(&self, event: &Event) {
        HANDING_ON.set(self);
        if let Some((least, logger)) = &self.logger {
            logger::log(*least, logger, event);
        }
        if let Some(listener) = &self.listener {
            listener(event);
        }
        HANDING_ON.set(std::ptr::null());
    }

    /// The task that hands events on, and its bell; `None` if nobody hears them. Called once.
    pub fn dispatcher(self: &Arc<Self>) -> Option<(Arc<Bell>, Box<dyn Task>)> {
        self.is_heard.then(|| {
            let journal = self.journal.lock().take();
            let task: Box<dyn Task> = Box::new(Dispatcher { queue: self.clone(), journal });
            (self.bell.clone(), task)
        })
    }

    /// Lets the task end once everything queued so far was handed on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.bell.ring();
    }
}

struct Dispatcher {
    queue: Arc<EventQueue>,
    journal: Option<Journal>,
}

impl Task for Dispatcher {
    fn step(&mut self) -> Next {
        let stopped = self.queue.stopped.load(Ordering::SeqCst);
        let event = self.queue.waiting.lock().pop_front();
        match event {
            Some(event) => {
                // First, so that what a listener does about it comes after it.
                if let Some(journal) = &mut self.journal {
                    journal.write(&event);
                }
                self.queue.hand_on(&event);
                Next::Again
            }
            None if stopped => Next::Done,
            None => Next::Wait(None),
        }
    }
}
