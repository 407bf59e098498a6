//! The table of `testdata/pace.txt`, and what must hold of each pace.

use super::*;

fn line(debt: Debt) -> String {
    match pace(&debt) {
        Some(pace) => format!("= {} us for {} bytes, {}\n", pace.grain_micros, pace.grain_bytes, pace.cause.name()),
        None => "= nothing\n".to_string(),
    }
}

/// A transcript holds lines `debt memtables=<n> memory=<n> merges=<n>`, each followed by what is paid.
#[test]
fn the_transcript_holds() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/flush/testdata/pace.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut out = String::new();
    for text in text.lines().filter(|line| !line.starts_with("= ")) {
        out.push_str(text);
        out.push('\n');
        let Some(words) = text.strip_prefix("debt ") else { continue };
        let mut debt = Debt::default();
        for word in words.split_whitespace() {
            match word.split_once('=').unwrap() {
                ("memtables", share) => debt.memtables = share.parse().unwrap(),
                ("memory", share) => debt.memory = share.parse().unwrap(),
                ("merges", share) => debt.merges = share.parse().unwrap(),
                (other, _) => panic!("{other}"),
            }
        }
        out.push_str(&line(debt));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &out).unwrap();
    }
    assert_eq!(out, text, "run with UPDATE=1 to accept");
}

#[test]
fn who_owes_more_never_pays_less() {
    let of: [fn(u32) -> Debt; 3] = [
        |memtables| Debt { memtables, ..Debt::default() },
        |memory| Debt { memory, ..Debt::default() },
        |merges| Debt { merges, ..Debt::default() },
    ];
    for debt in of {
        let mut before = (0, u64::MAX);
        for share in 0..=1100 {
            let now = pace(&debt(share)).map_or((0, u64::MAX), |pace| (pace.grain_micros, pace.grain_bytes));
            assert!(now.0 >= before.0 && now.1 <= before.1, "{share}: {before:?} {now:?}");
            assert!(now.0 == 0 || (50..=200).contains(&now.0), "{share}: {now:?}");
            before = now;
        }
        assert_eq!(before.0, 200, "the longest grain at the limit");
    }
}
