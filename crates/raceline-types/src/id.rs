//! Identifiers. Each is an index that is unique inside one execution.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// A split: a piece of a source that one fragment reads. Splits are numbered in source
    /// order (input, path, range), never in order of arrival.
    SplitId, u64, "split-"
);
id!(
    /// A stage of a running plan.
    StageId, u32, "stage-"
);
id!(
    /// One output partition of an exchange.
    PartitionId, u32, "partition-"
);
