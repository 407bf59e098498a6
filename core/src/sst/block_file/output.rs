//! The write stage of a file: buffers of 512 KiB that a background task writes while the next one is filled.
//!
//! Called by the writer. The task never waits for the foreground; the foreground waits for it, through the runtime, only when
//! every buffer is full and at the end. A file of one buffer needs no task at all, and where none can be had the foreground
//! writes. Promises: bytes reach the file in order; the first error ends all writing and is what every later call returns.

use crate::env::{Bell, Env, File, Next, Runtime, Task, TaskHandle};
use crate::error::{Error, Result};
use crate::lock::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 512 << 10;
/// Room beyond that for the block that fills a buffer.
const BUFFER_SLACK_BYTES: usize = 64 << 10;
/// Fewer bytes are copied into the buffer rather than written alone.
const COPIED_BYTES_MAX: usize = 256 << 10;
/// Buffers in use at once: one being filled, one being written, one between them.
const BUFFERS_MAX: usize = 3;
/// Waits look again after this long, in case the task ended without a word.
const PATIENCE: Duration = Duration::from_millis(200);

/// The growing file.
pub struct Output {
    file: Arc<dyn File>,
    runtime: Arc<dyn Runtime>,
    buffer: Vec<u8>,
    /// Bytes handed on before those in the buffer.
    handed_on: u64,
    stage: Option<Stage>,
    /// Set once a task was refused: the foreground writes from then on.
    alone: bool,
    writing: Writing,
    /// The first error; nothing is written after it.
    failure: Option<Error>,
}

/// The background task, from the foreground's side.
struct Stage {
    shared: Arc<Shared>,
    handle: Box<dyn TaskHandle>,
    buffers: usize,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Rung for the task.
    work: Arc<Bell>,
    /// Rung for the foreground.
    progress: Bell,
}

#[derive(Default)]
struct Queue {
    full: VecDeque<Vec<u8>>,
    free: Vec<Vec<u8>>,
    closed: bool,
    /// What the task leaves behind when it is done.
    ended: Option<Result<Writing>>,
}

/// How far the file is written, and the checksum up to there.
#[derive(Clone, Default)]
struct Writing {
    offset: u64,
    checksum: crc32fast::Hasher,
}

impl Writing {
    fn write(&mut self, file: &dyn File, bytes: &[u8]) -> Result<()> {
        file.write_at(bytes, self.offset)?;
        file.start_writeback(self.offset, bytes.len() as u64);
        self.checksum.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

struct WriteTask {
    file: Arc<dyn File>,
    shared: Arc<Shared>,
    writing: Writing,
}

impl Task for WriteTask {
    fn step(&mut self) -> Next {
        let buffer = {
            let mut queue = self.shared.queue.lock();
            match queue.full.pop_front() {
                Some(buffer) => buffer,
                None if !queue.closed => return Next::Wait(None),
                None => {
                    queue.ended = Some(Ok(self.writing.clone()));
                    drop(queue);
                    self.shared.progress.ring();
                    return Next::Done;
                }
            }
        };
        let written = self.writing.write(&*self.file, &buffer);
        let mut queue = self.shared.queue.lock();
        queue.free.push(buffer);
        let next = match written {
            Ok(()) => Next::Again,
            Err(error) => {
                queue.ended = Some(Err(error));
                Next::Done
            }
        };
        drop(queue);
        self.shared.progress.ring();
        next
    }
}

impl Output {
    /// Writes `file`, which must be new and empty.
    pub fn new(env: &Env, file: Arc<dyn File>) -> Self {
        Self {
            file,
            runtime: env.runtime.clone(),
            buffer: Vec::with_capacity(64 << 10),
            handed_on: 0,
            stage: None,
            alone: false,
            writing: Writing::default(),
            failure: None,
        }
    }

    /// Where the next byte goes.
    pub fn offset(&self) -> u64 {
        self.handed_on + self.buffer.len() as u64
    }

    /// Hands the buffer on if it is full.
    #[inline]
    pub fn pass_on(&mut self) -> Result<()> {
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.hand_on() }
    }

    /// Appends bytes of any length, buffer by buffer.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = BUFFER_BYTES.saturating_sub(self.buffer.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.buffer.extend_from_slice(now);
            bytes = later;
            self.pass_on()?;
        }
        Ok(())
    }

    /// Appends `bytes`, and leaves an empty buffer in their place, of use for the next ones. Many are not copied.
    pub fn exchange(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        if bytes.len() < COPIED_BYTES_MAX {
            self.buffer.extend_from_slice(bytes);
            bytes.clear();
        } else {
            if !self.buffer.is_empty() {
                self.hand_on()?;
            }
            std::mem::swap(&mut self.buffer, bytes);
        }
        self.pass_on()
    }

    fn hand_on(&mut self) -> Result<()> {
        self.guarded(Self::hand_on_buffer)
    }

    /// Runs `write` unless an earlier one failed, and remembers if this one does.
    fn guarded<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let result = write(self);
        self.failure = result.as_ref().err().cloned();
        result
    }

    fn hand_on_buffer(&mut self) -> Result<()> {
        self.handed_on += self.buffer.len() as u64;
        if self.stage.is_none() && !self.alone {
            self.start_task();
        }
        let Some(stage) = &mut self.stage else {
            self.writing.write(&*self.file, &self.buffer)?;
            self.buffer.clear();
            return Ok(());
        };
        let free = stage.free_buffer(&*self.runtime)?;
        let full = std::mem::replace(&mut self.buffer, free);
        stage.shared.queue.lock().full.push_back(full);
        stage.shared.work.ring();
        Ok(())
    }

    fn start_task(&mut self) {
        let work = Arc::new(Bell::new());
        let shared = Arc::new(Shared { queue: Mutex::default(), work: work.clone(), progress: Bell::new() });
        let task = WriteTask { file: self.file.clone(), shared: shared.clone(), writing: self.writing.clone() };
        match self.runtime.spawn("sstore-write", work, Box::new(task)) {
            Ok(handle) => self.stage = Some(Stage { shared, handle, buffers: 1 }),
            // No thread to be had: slower, but no reason to fail.
            Err(_) => self.alone = true,
        }
    }

    /// Writes what is left; returns how long the file is and the checksum of all its bytes. More may be written after it.
    pub fn settle(&mut self) -> Result<(u64, u32)> {
        self.guarded(Self::settle_buffer)
    }

    fn settle_buffer(&mut self) -> Result<(u64, u32)> {
        if let Some(stage) = self.stage.take() {
            self.alone = true;
            self.writing = stage.end()?;
        }
        if !self.buffer.is_empty() {
            self.handed_on += self.buffer.len() as u64;
            self.writing.write(&*self.file, &self.buffer)?;
            self.buffer.clear();
        }
        Ok((self.writing.offset, self.writing.checksum.clone().finalize()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(stage) = self.stage.take() {
            stage.shared.queue.lock().full.clear();
            // Nobody is left to hear of an error: the file is being given up.
            let _ = stage.end();
        }
    }
}

impl Stage {
    /// A buffer to fill next: a recycled one, a new one if there are few, or the first one to become free.
    fn free_buffer(&mut self, runtime: &dyn Runtime) -> Result<Vec<u8>> {
        loop {
            let seen = self.shared.progress.count();
            {
                let mut queue = self.shared.queue.lock();
                if let Some(ended) = &queue.ended {
                    return Err(ended.as_ref().err().cloned().unwrap_or_else(ended_early));
                }
                if let Some(mut buffer) = queue.free.pop() {
                    buffer.clear();
                    return Ok(buffer);
                }
            }
            if self.buffers < BUFFERS_MAX {
                self.buffers += 1;
                return Ok(Vec::with_capacity(BUFFER_BYTES + BUFFER_SLACK_BYTES));
            }
            if self.handle.is_done() && self.shared.queue.lock().ended.is_none() {
                return Err(ended_early());
            }
            runtime.wait(&self.shared.progress, seen, Some(PATIENCE));
        }
    }

    /// Lets the task write what it has and end.
    fn end(self) -> Result<Writing> {
        self.shared.queue.lock().closed = true;
        self.shared.work.ring();
        self.handle.join();
        let ended = self.shared.queue.lock().ended.take();
        ended.unwrap_or_else(|| Err(ended_early()))
    }
}

fn ended_early() -> Error {
    Error::new(crate::error::ErrorKind::Panic, "the task that writes a table ended early")
}
