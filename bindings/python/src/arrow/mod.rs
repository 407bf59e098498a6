//! Arrow data between Python and the engine: capsules in and out, and plain Python values where there is no Arrow library.

pub(crate) mod capsule;
pub(crate) mod from_python;
pub(crate) mod to_python;
pub(crate) mod type_names;
