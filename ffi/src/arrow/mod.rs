//! What the functions of tables are made of: Arrow in and out, and the objects behind their handles. Only in a library that is
//! built with the feature `arrow`; the functions themselves are beside it, and are always there.

pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod objects;
pub(crate) mod rows;
