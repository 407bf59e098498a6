//! Keys and values to measure with: the same in every run, from one small generator.

/// A source of random numbers: quick, and seeded, so that every round works on the same data.
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// A shape of keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// 16 random bytes.
    Random,
    /// 8 bytes that all share, then 8 random ones.
    SharedPrefix,
    /// 16 decimal digits.
    Decimal,
    /// 40 random bytes.
    Long,
    /// 16 bytes that rise.
    Rising,
}

impl Shape {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::SharedPrefix => "shared prefix",
            Self::Decimal => "decimal",
            Self::Long => "40 bytes",
            Self::Rising => "rising",
        }
    }
}

/// `count` keys of a shape, one after the other in one buffer.
pub struct Keys {
    bytes: Vec<u8>,
    width: usize,
}

impl Keys {
    /// Makes them. Random keys of one seed are distinct for all that matters (64 bits and more).
    pub fn new(shape: Shape, count: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let width = if shape == Shape::Long { 40 } else { 16 };
        let mut bytes = Vec::with_capacity(count * width);
        for index in 0..count {
            match shape {
                Shape::Random | Shape::Long => {
                    for _ in 0..width / 8 {
                        bytes.extend_from_slice(&random.next().to_be_bytes());
                    }
                }
                Shape::SharedPrefix => {
                    bytes.extend_from_slice(b"tenant42");
                    bytes.extend_from_slice(&random.next().to_be_bytes());
                }
                Shape::Decimal => {
                    bytes.extend_from_slice(format!("{:016}", random.next() % 10_000_000_000_000_000).as_bytes())
                }
                Shape::Rising => {
                    bytes.extend_from_slice(b"sequence");
                    bytes.extend_from_slice(&(index as u64).to_be_bytes());
                }
            }
        }
        Self { bytes, width }
    }

    /// The key at `index`.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.bytes[index * self.width..(index + 1) * self.width]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.width)
    }
}

/// Bytes of one value.
pub const VALUE_BYTES: usize = 100;

/// Values of which a half is random and a half repeats: they compress to about a half, as in the usual benchmarks.
pub struct Values {
    bytes: Vec<u8>,
}

impl Values {
    /// Makes a pool that [`get`](Self::get) cuts values from.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut bytes = Vec::with_capacity(1 << 20);
        while bytes.len() < 1 << 20 {
            let piece: Vec<u8> = (0..VALUE_BYTES / 2).map(|_| random.next() as u8).collect();
            bytes.extend_from_slice(&piece);
            bytes.extend_from_slice(&piece);
        }
        Self { bytes }
    }

    /// The value for the key at `index`.
    pub fn get(&self, index: usize) -> &[u8] {
        let start = (index * VALUE_BYTES) % (self.bytes.len() - VALUE_BYTES);
        &self.bytes[start..start + VALUE_BYTES]
    }
}
