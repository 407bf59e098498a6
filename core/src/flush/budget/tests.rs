//! The table of choices in `testdata/budget.txt`, and what must hold of each.

use super::*;
use crate::env::executor::mix;

/// A transcript holds lines `define room=<n> <active>@<age>+<frozen> ...` and `pick`, followed by the place of what was picked.
#[test]
fn the_transcript_holds() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/flush/testdata/budget.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let (mut room, mut uses, mut out) = (0, Vec::new(), String::new());
    for line in text.lines().filter(|line| !line.starts_with("= ")) {
        out.push_str(line);
        out.push('\n');
        let mut words = line.split_whitespace();
        match words.next() {
            Some("define") => {
                room = words.next().unwrap().strip_prefix("room=").unwrap().parse().unwrap();
                uses = words
                    .enumerate()
                    .map(|(place, word)| {
                        let (active, rest) = word.split_once('@').unwrap();
                        let (age, frozen) = rest.split_once('+').unwrap_or((rest, "0"));
                        MemtableUse {
                            collection: CollectionId(place as u32),
                            active_bytes: active.parse().unwrap(),
                            age: age.parse().unwrap(),
                            frozen_bytes: frozen.parse().unwrap(),
                        }
                    })
                    .collect();
            }
            Some("pick") => out.push_str(&match pick_for_memory(&uses, room) {
                Some(picked) => format!("= {}\n", picked.0),
                None => "= nothing\n".to_string(),
            }),
            _ => {}
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &out).unwrap();
    }
    assert_eq!(out, text, "run with UPDATE=1 to accept");
}

#[test]
fn full_memory_always_has_something_on_its_way_to_a_file() {
    for seed in 0..20_000_u64 {
        let random = |at: u64, below: u64| mix(seed * 1_000 + at) % below;
        let share = 1 + random(0, 1 << 30);
        let room = room_bytes(share, random(1, 2 * share));
        assert!(room >= share / 4);
        let uses: Vec<MemtableUse> = (0..random(2, 60))
            .map(|at| MemtableUse {
                collection: CollectionId(at as u32),
                active_bytes: random(10 * at + 3, room / 8 + 2) * random(10 * at + 4, 2),
                age: random(10 * at + 5, 1 << 40),
                frozen_bytes: random(10 * at + 6, room / 8 + 2) * u64::from(random(10 * at + 7, 8) == 0),
            })
            .collect();
        let active: u64 = uses.iter().map(|used| used.active_bytes).sum();
        let frozen: u64 = uses.iter().map(|used| used.frozen_bytes).sum();
        let picked = pick_for_memory(&uses, room);
        if room >= 8 && active + frozen >= room {
            assert!(picked.is_some() || frozen > 0, "seed {seed}: writers would wait for nothing");
        }
        if let Some(picked) = picked {
            let held = uses[picked.0 as usize].active_bytes;
            assert!((2 * held + 2) * uses.len() as u64 >= active, "seed {seed}: a flush of next to nothing");
        }
    }
}

#[test]
fn what_caches_leave_rises_at_once_and_falls_late() {
    let grant = |held, granted| grant_bytes(held, granted, 128, 800);
    assert_eq!([grant(0, 0), grant(100, 0), grant(350, 0), grant(351, 0)], [128, 200, 400, 500]);
    assert_eq!(grant(5_000, 0), 800, "never more than the share");
    assert_eq!([grant(500, 600), grant(350, 600), grant(351, 600), grant(0, 600)], [600, 400, 600, 128]);
    assert_eq!(grant_bytes(0, 0, 900, 800), 800);
}
