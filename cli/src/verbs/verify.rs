//! `sstore verify`: every byte of every file that counts; each damaged file is named.

use super::{Done, options};
use crate::arguments::Verify;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::Progress;
use crate::record;
use serde_json::{Value, json};
use sstore::{Db, Error};

pub fn run(verify: &Verify, output: &mut Output) -> Done {
    let mut options = options(&verify.database)?;
    if verify.absolute {
        options.set("wal_recovery", "absolute")?;
    }
    let (mut files, mut bytes, mut damaged) = (0u64, 0u64, 0u64);
    let bar = Progress::beside_lines("{spinner} {bytes} in {msg} files, {binary_bytes_per_sec}, {elapsed}");
    Db::verify_files::<Failure>(&verify.database.path, &options, &mut |file| {
        files += 1;
        bytes += file.bytes;
        damaged += u64::from(file.error.is_some());
        bar.set_message(files.to_string());
        bar.set_position(bytes);
        if !output.is_table() {
            output.object(record! {
                "type": "file",
                "path": file.path.to_string_lossy(),
                "part": file.part.name(),
                "collection": file.collection,
                "bytes": file.bytes,
                "damage": file.error.as_ref().map_or(Value::Null, damage),
            })?;
            return Ok(());
        }
        let line = match &file.error {
            None => format!("ok       {}", file.path.display()),
            Some(error) => format!("DAMAGED  {}: {}", file.path.display(), told(error, &file.path)),
        };
        Ok(output.line(&line)?)
    })?;
    drop(bar);
    if output.is_table() {
        output.line(&format!("{files} files, {bytes} bytes, {damaged} damaged"))?;
    } else {
        output.object(record! { "type": "sum", "files": files, "bytes": bytes, "damaged": damaged })?;
    }
    Ok(if damaged == 0 { Outcome::Fine } else { Outcome::Wrong })
}

/// Damage as JSON.
pub fn damage(error: &Error) -> Value {
    json!({
        "message": error.message(),
        "path": error.path().map(|path| path.to_string_lossy()),
        "offset": error.offset(),
    })
}

/// An error of a file whose path was told already.
fn told(error: &Error, file: &std::path::Path) -> String {
    match (error.path() == Some(file), error.offset()) {
        (true, Some(offset)) => format!("{} at offset {offset}", error.message()),
        _ => error.to_string(),
    }
}
