//! The growing file of a writer: what the encoders of the formats write to, with the checksums computed on the way.
//!
//! Called by the writers of both formats. Promises: strides cover what was written before the tail began, the tail's checksum
//! what came after; the first error of the file system is kept, since encoders only say that writing failed.

use super::super::block_file::Output;
use super::strides::{StrideBuilder, Strides};
use crate::env::{Env, File, FileSystem};
use crate::error::{Error, ErrorKind, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A new file. One that is not finished is removed, best effort, when the output goes.
pub struct StridedOutput {
    files: Arc<dyn FileSystem>,
    file: Arc<dyn File>,
    path: PathBuf,
    output: Output,
    checksums: Checksums,
    failure: Option<Error>,
    finished: bool,
}

enum Checksums {
    Data(StrideBuilder),
    Tail(crc32fast::Hasher),
}

impl StridedOutput {
    /// Creates the file, which must not exist yet. `number` seeds its checksums.
    pub fn create(env: &Env, path: &Path, number: u64) -> Result<Self> {
        let file = env.files.create(path)?;
        Ok(Self {
            files: env.files.clone(),
            file: file.clone(),
            path: path.to_path_buf(),
            output: Output::new(env, file),
            checksums: Checksums::Data(StrideBuilder::new(number)),
            failure: None,
            finished: false,
        })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next byte goes.
    pub fn offset(&self) -> u64 {
        self.output.offset()
    }

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match &mut self.checksums {
            Checksums::Data(strides) => strides.update(bytes),
            Checksums::Tail(hasher) => hasher.update(bytes),
        }
        self.output.write(bytes).inspect_err(|error| self.failure = Some(error.clone()))
    }

    /// Ends a stride here: what follows is read apart from what came before.
    pub fn cut(&mut self) {
        if let Checksums::Data(strides) = &mut self.checksums {
            strides.cut();
        }
    }

    /// Ends the bytes that strides cover and returns the strides; what follows is the tail. Empty strides if it began before.
    pub fn begin_tail(&mut self) -> Strides {
        match std::mem::replace(&mut self.checksums, Checksums::Tail(crc32fast::Hasher::new())) {
            Checksums::Data(strides) => strides.finish(),
            Checksums::Tail(hasher) => {
                self.checksums = Checksums::Tail(hasher);
                Strides::default()
            }
        }
    }

    /// Why an encoder failed: the file system's error if there was one, else the encoder's.
    pub fn failure(&mut self, encoder: impl std::fmt::Display) -> Error {
        self.failure.clone().unwrap_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("rows cannot be encoded: {encoder}")).in_file(&self.path)
        })
    }

    /// Makes the bytes durable; returns the file's length and the checksum of its tail. The name is for the caller to make
    /// durable.
    pub fn finish(mut self) -> Result<(u64, u32)> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let (len, _) = self.output.settle()?;
        self.file.sync_data()?;
        self.finished = true;
        let checksum = match &self.checksums {
            Checksums::Data(_) => 0,
            Checksums::Tail(hasher) => hasher.clone().finalize(),
        };
        Ok((len, checksum))
    }
}

impl io::Write for StridedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(|error| io::Error::other(error.message().to_owned()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for StridedOutput {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.files.remove(&self.path);
        }
    }
}
