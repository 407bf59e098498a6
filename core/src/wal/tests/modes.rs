//! Every mode of recovery over the same damaged logs: a table of what each one makes of each damage.

use super::*;
use RecoveryMode::{Absolute, PointInTime, Salvage, TolerateTail};

const MODES: [RecoveryMode; 4] = [PointInTime, Absolute, TolerateTail, Salvage];
const FIRST: FileNumber = FileNumber(10);
const COUNT: u64 = 120;
/// Everything up to here was synced.
const SYNCED: u64 = 8;

/// A log of several segments, killed; some at the front of it is durable.
struct Sample {
    files: Arc<MemFileSystem>,
    /// Where the record of each sequence lies, from 1 on.
    places: Vec<(FileNumber, u64)>,
    /// What a manifest says of it.
    durable: Option<LogPosition>,
}

fn path_of(number: u64) -> PathBuf {
    dir().join(segment_name(FileNumber(number)))
}

/// A log in `dir()` whose segments are numbered from `first` on.
fn write_log(files: &Arc<MemFileSystem>, identity: LogIdentity, first: u64, count: u64) -> (LogWriter, Arc<Log>) {
    files.create_dir(dir()).unwrap();
    let env = env_of(files.clone());
    let options = options(LogBackend::Write);
    let (mut writer, log) =
        Log::create(&env, dir(), identity, options, numbers_from(first), 0, Arc::new(|_| ())).unwrap();
    for sequence in 1..=count {
        append(&mut writer, sequence, 40 + len_of(sequence)).unwrap();
        if sequence == SYNCED {
            log.sync(sequence).unwrap();
        }
    }
    (writer, log)
}

impl Sample {
    fn new() -> Self {
        let files = MemFileSystem::new();
        write_log(&files, IDENTITY, FIRST.0, COUNT);
        let mut sample = Self { files, places: Vec::new(), durable: None };
        let mut places = Vec::new();
        sample.replay(Absolute, &mut |record| places.push((record.segment, record.offset))).unwrap();
        sample.places = places;
        assert!(sample.newest() >= 12 && sample.segment_of(SYNCED + 5) == FIRST.0);
        sample
    }

    fn replay(&self, mode: RecoveryMode, told: &mut dyn FnMut(&LoggedRecord<'_>)) -> Result<ReplayOutcome> {
        let env = env_of(self.files.clone());
        replay(&env, dir(), 77, 3, FIRST, self.durable, mode, &mut |record| {
            assert_eq!(record.payload, payload(record.first_sequence, record.payload.len()));
            told(&record);
            Ok(())
        })
    }

    fn segment_of(&self, sequence: u64) -> u64 {
        self.places[sequence as usize - 1].0.0
    }

    fn offset_of(&self, sequence: u64) -> u64 {
        self.places[sequence as usize - 1].1
    }

    fn newest(&self) -> u64 {
        self.segment_of(COUNT)
    }

    /// The sequences that lie in a segment.
    fn within(&self, segment: u64) -> std::ops::RangeInclusive<u64> {
        let mine = |sequence: &u64| self.segment_of(*sequence) == segment;
        (1..=COUNT).find(mine).unwrap()..=(1..=COUNT).rfind(mine).unwrap()
    }

    fn bytes(&self, segment: u64) -> Vec<u8> {
        crate::env::read_file(&*self.files, &path_of(segment), 1 << 20).unwrap()
    }

    /// Flips a bit of a byte of a record, counted from its beginning.
    fn flip(&self, sequence: u64, at: u64) {
        self.flip_at(self.segment_of(sequence), self.offset_of(sequence) + at);
    }

    fn flip_at(&self, segment: u64, offset: u64) {
        let byte = self.bytes(segment)[offset as usize] ^ 0x10;
        self.files.damage(&path_of(segment), offset, &[byte]).unwrap();
    }

    /// Zeros from within a record on.
    fn zero(&self, sequence: u64, at: u64) {
        let (segment, from) = (self.segment_of(sequence), self.offset_of(sequence) + at);
        let len = self.bytes(segment).len() as u64 - from;
        self.files.damage(&path_of(segment), from, &vec![0; len as usize]).unwrap();
    }

    fn remove(&self, segment: u64) {
        self.files.remove(&path_of(segment)).unwrap();
    }

    /// Puts another log's first segment under `number`.
    fn plant(&self, identity: LogIdentity, number: u64) {
        let other = MemFileSystem::new();
        write_log(&other, identity, number, 5);
        let bytes = crate::env::read_file(&*other, &path_of(number), 1 << 20).unwrap();
        self.plant_bytes(&bytes, number);
    }

    fn plant_bytes(&self, bytes: &[u8], number: u64) {
        let _ = self.files.remove(&path_of(number));
        self.files.create(&path_of(number)).unwrap().write_at(bytes, 0).unwrap();
    }
}

/// What a mode makes of a damage.
#[derive(Debug, PartialEq)]
enum Made {
    /// All records up to this sequence.
    UpTo(u64),
    /// An error that names this segment.
    Refused(u64),
    /// All records but these, and told of these segments.
    Without(Vec<u64>, Vec<u64>),
}
use Made::{Refused, UpTo, Without};

fn made(sample: &Sample, mode: RecoveryMode) -> Made {
    let mut found = Vec::new();
    match sample.replay(mode, &mut |record| found.push(record.first_sequence)) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
            let name = error.path().unwrap().file_name().unwrap().to_str().unwrap();
            Refused(segment_number(name).unwrap().0)
        }
        Ok(outcome) => {
            assert_eq!(outcome.records, found.len() as u64);
            assert!(found.is_sorted());
            let lost: Vec<u64> = (1..=COUNT).filter(|sequence| !found.contains(sequence)).collect();
            if outcome.skipped.is_empty() {
                assert!(lost.first().is_none_or(|first| *first == found.len() as u64 + 1), "a hole nobody tells of");
                return UpTo(found.len() as u64);
            }
            assert_eq!((mode, outcome.cut), (Salvage, None));
            let mut told: Vec<u64> = outcome.skipped.iter().map(|skipped| skipped.segment.0).collect();
            told.dedup();
            Without(lost, told)
        }
    }
}

type Case = (&'static str, fn(&mut Sample), fn(&Sample) -> [Made; 4]);

#[test]
fn each_mode_makes_of_each_damage_what_it_says() {
    let cases: &[Case] = &[
        ("nothing", |_| (), |_| [UpTo(COUNT), UpTo(COUNT), UpTo(COUNT), UpTo(COUNT)]),
        (
            "the last record is torn: its end is missing",
            |sample| sample.zero(COUNT, 40),
            |sample| [UpTo(119), Refused(sample.newest()), UpTo(119), Without(vec![120], vec![sample.newest()])],
        ),
        (
            "the last record is torn: its header is missing",
            |sample| {
                let at = sample.offset_of(COUNT);
                sample.files.damage(&path_of(sample.newest()), at, &[0; 32]).unwrap();
            },
            |sample| [UpTo(119), Refused(sample.newest()), UpTo(119), Without(vec![120], vec![sample.newest()])],
        ),
        (
            "a record before the last, its payload",
            |sample| sample.flip(COUNT - 2, 34),
            |sample| {
                let newest = sample.newest();
                [UpTo(117), Refused(newest), Refused(newest), Without(vec![118], vec![newest])]
            },
        ),
        (
            "a record before the last, its header",
            |sample| sample.flip(COUNT - 2, 5),
            |sample| {
                let newest = sample.newest();
                [UpTo(117), Refused(newest), Refused(newest), Without(vec![118], vec![newest])]
            },
        ),
        (
            "two records apart from each other",
            |sample| {
                sample.flip(COUNT - 2, 5);
                sample.flip(COUNT - 5, 40);
            },
            |sample| {
                let newest = sample.newest();
                [UpTo(114), Refused(newest), Refused(newest), Without(vec![115, 118], vec![newest])]
            },
        ),
        (
            "a record that was durable",
            |sample| sample.flip(5, 34),
            |_| [Refused(10), Refused(10), Refused(10), Without(vec![5], vec![10])],
        ),
        (
            "the last record of a segment before the newest, never synced",
            |sample| sample.flip(*sample.within(10).end(), 34),
            |sample| {
                let last = *sample.within(10).end();
                [UpTo(last - 1), Refused(10), Refused(10), Without(vec![last], vec![10])]
            },
        ),
        (
            "the end of a segment before the newest is zeros",
            |sample| sample.zero(*sample.within(10).end() - 2, 0),
            |sample| {
                let last = *sample.within(10).end();
                [UpTo(last - 3), Refused(10), Refused(10), Without((last - 2..=last).collect(), vec![10])]
            },
        ),
        (
            "a segment in the middle is missing",
            |sample| sample.remove(11),
            |sample| [Refused(11), Refused(11), Refused(11), Without(sample.within(11).collect(), vec![11])],
        ),
        (
            "the first segment is missing",
            |sample| sample.remove(10),
            |sample| [Refused(10), Refused(10), Refused(10), Without(sample.within(10).collect(), vec![10])],
        ),
        (
            "the newest segment is missing, and the manifest knows of it",
            |sample| {
                let (segment, offset) = sample.places[COUNT as usize - 1];
                sample.durable = Some(LogPosition { segment, offset });
                sample.remove(segment.0);
            },
            |sample| {
                let newest = sample.newest();
                let lost = sample.within(newest).collect();
                [Refused(newest), Refused(newest), Refused(newest), Without(lost, vec![newest])]
            },
        ),
        (
            "the newest segment is missing, and nobody knows of it",
            |sample| sample.remove(sample.newest()),
            |sample| {
                let last = sample.within(sample.newest()).start() - 1;
                [UpTo(last), UpTo(last), UpTo(last), UpTo(last)]
            },
        ),
        (
            "the records end before the manifest says",
            |sample| {
                let (segment, offset) = sample.places[COUNT as usize - 1];
                sample.durable = Some(LogPosition { segment, offset });
                sample.zero(COUNT - 1, 0);
            },
            |sample| {
                let newest = sample.newest();
                [Refused(newest), Refused(newest), Refused(newest), Without(vec![119, 120], vec![newest])]
            },
        ),
        (
            "a segment in the middle is another database's",
            |sample| sample.plant(LogIdentity { database_id: 78, epoch: 3 }, 11),
            |sample| [Refused(11), Refused(11), Refused(11), Without(sample.within(11).collect(), vec![11])],
        ),
        (
            "behind the newest one lies another database's",
            |sample| sample.plant(LogIdentity { database_id: 78, epoch: 3 }, 50),
            |_| [Refused(50), Refused(50), Refused(50), Without(vec![], vec![50])],
        ),
        (
            "below the floor lies another database's",
            |sample| sample.plant(LogIdentity { database_id: 78, epoch: 3 }, 2),
            |_| [UpTo(COUNT), UpTo(COUNT), UpTo(COUNT), UpTo(COUNT)],
        ),
        (
            "a segment of an earlier opening",
            |sample| sample.plant(LogIdentity { epoch: 2, ..IDENTITY }, 51),
            |_| [Refused(51), Refused(51), Refused(51), Without(vec![], vec![51])],
        ),
        (
            "a segment under the name of another",
            |sample| sample.plant_bytes(&sample.bytes(11), 52),
            |_| [Refused(52), Refused(52), Refused(52), Without(vec![], vec![52])],
        ),
        (
            "the header of a segment in the middle",
            |sample| sample.flip_at(11, 30),
            |sample| [Refused(11), Refused(11), Refused(11), Without(sample.within(11).collect(), vec![11])],
        ),
        (
            "the first record of the newest segment, its link",
            |sample| sample.flip_at(sample.newest(), SEGMENT_HEADER_BYTES + 3),
            |sample| {
                let newest = sample.newest();
                let before = sample.within(newest).start() - 1;
                [UpTo(before), Refused(newest), Refused(newest), Without(vec![], vec![newest])]
            },
        ),
    ];
    for (name, damage, expected) in cases {
        let whole = Sample::new();
        let mut damaged = Sample::new();
        damage(&mut damaged);
        let outcomes = MODES.map(|mode| made(&damaged, mode));
        assert_eq!(outcomes, expected(&whole), "{name}: {MODES:?}");
    }
}

/// In a salvage a damaged byte costs the record that it lies in, and its place is told.
#[test]
fn a_salvage_loses_one_record_to_each_damaged_byte_and_tells_where() {
    let sample = Sample::new();
    for segment in [FIRST.0, sample.newest()] {
        let bytes = sample.bytes(segment);
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap() as u64 + 1;
        for offset in (0..SEGMENT_HEADER_BYTES + 200).step_by(5).chain((264..used + 100).step_by(37)) {
            sample.flip_at(segment, offset);
            let mut found = Vec::new();
            let outcome = sample.replay(Salvage, &mut |record| found.push(record.first_sequence)).unwrap();
            sample.flip_at(segment, offset);
            let at = LogPosition { segment: FileNumber(segment), offset };
            let told = |skipped: &SkippedRange| {
                skipped.segment == at.segment && skipped.from <= at.offset && at.offset < skipped.to
            };
            assert!(outcome.skipped.iter().any(told), "{at}: {:?}", outcome.skipped);
            let lost: Vec<u64> = (1..=COUNT).filter(|sequence| !found.contains(sequence)).collect();
            if offset < SEGMENT_HEADER_BYTES {
                assert_eq!(lost, sample.within(segment).collect::<Vec<_>>(), "{at}");
            } else {
                assert!(lost.len() <= 1, "{at}: {lost:?}");
                assert!(lost.iter().all(|&sequence| sample.offset_of(sequence) <= offset), "{at}: {lost:?}");
            }
        }
    }
    assert!(sample.replay(Salvage, &mut |_| ()).unwrap().skipped.is_empty());
}

/// A torn end of the newest segment at every byte: dropped where nothing else would be lost.
#[test]
fn a_torn_tail_is_tolerated_at_every_byte_of_the_last_record_and_of_no_other() {
    let sample = Sample::new();
    let bytes = sample.bytes(sample.newest());
    for sequence in [COUNT - 1, COUNT] {
        let (from, len) = (sample.offset_of(sequence), 100);
        for offset in from..from + len {
            sample.flip_at(sample.newest(), offset);
            let outcome = made(&sample, TolerateTail);
            sample.plant_bytes(&bytes, sample.newest());
            let expected = if sequence == COUNT { UpTo(COUNT - 1) } else { Refused(sample.newest()) };
            assert_eq!(outcome, expected, "{sequence}, byte {}", offset - from);
        }
    }
    // Nothing that was closed is torn.
    let files = MemFileSystem::new();
    let (mut writer, log) = write_log(&files, IDENTITY, FIRST.0, 10);
    writer.close().unwrap();
    let closed = Sample { files, places: vec![(FIRST, 0); COUNT as usize], durable: log.durable_position() };
    assert!(closed.replay(TolerateTail, &mut |_| ()).unwrap().clean);
    let len = closed.bytes(FIRST.0).len() as u64;
    closed.flip_at(FIRST.0, len - 40);
    assert_eq!(made(&closed, TolerateTail), Refused(FIRST.0));
}

/// What a disk does not give back may be there tomorrow: no mode takes it for damage. A repair, which changes nothing, leaves it out.
#[test]
fn a_salvage_stops_where_the_disk_fails() {
    let sample = Sample::new();
    let files = FaultFileSystem::new(sample.files.clone(), Vec::new());
    let env = env_of(files.clone());
    let whole = SalvageScope { database_id: 77, max_epoch: 3, floor: FIRST, durable: None, skip_unreadable: false };
    for call in [Call::Open, Call::Read] {
        files.add(Rule::once(call, Effect::Error(5)).on("000011.log").sticky());
        for mode in MODES {
            let error = replay(&env, dir(), 77, 3, FIRST, None, mode, &mut |_| Ok(())).unwrap_err();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Io, Some(path_of(11).as_path())), "{mode:?}");
        }
        let scope = SalvageScope { skip_unreadable: true, ..whole };
        let mut records = 0;
        let told = salvage(&env, dir(), &scope, &mut |_| {
            records += 1;
            Ok(())
        });
        let told = told.unwrap();
        let names: Vec<u64> = told.iter().filter(|told| told.stopped().is_some()).map(|told| told.number.0).collect();
        assert_eq!(names, [11], "{call:?}");
        assert_eq!(records, COUNT - sample.within(11).count() as u64, "{call:?}");
        files.clear();
    }
}

/// Who reads a log that is being written to sees it as it was at some moment, or is told to look again; never that it is damaged.
#[test]
fn a_live_writer_is_not_taken_for_damage() {
    for round in 0..3 {
        // Slow stores: most of the time a record is half there. Slow reads: by the next one there are more.
        let files = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
        let env = env_of(files.clone());
        let (mut writer, _log) = create_in(&env, dir(), LogBackend::Mapped);
        for (call, micros) in [(Call::Store, 50), (Call::Read, 1000)] {
            files.add(Rule::once(call, Effect::Delay(std::time::Duration::from_micros(micros))).sticky());
        }
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for sequence in 1..=300 {
                    append(&mut writer, sequence, len_of(sequence)).unwrap();
                }
                done.store(true, std::sync::atomic::Ordering::SeqCst);
            });
            let mut last = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                for mode in [TolerateTail, PointInTime] {
                    match replay_in(&env, dir(), mode, None) {
                        Ok((_, records)) => {
                            check_prefix(&records);
                            assert!(records.len() >= last, "round {round}, {mode:?}: {} after {last}", records.len());
                            last = records.len();
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "round {round}, {mode:?}: {error}"),
                    }
                }
            }
        });
    }
}
