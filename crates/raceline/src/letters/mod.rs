//! Rows that functions fail for where the run goes on without them: they are counted, and kept
//! as a dataset of dead letters where the user asked for that.
//!
//! Letters go to files, not to memory: there may be any number of them. A file holds those of one
//! stage and one schema, and lives as long as the session.

mod file;
mod folder;
mod labels;
mod stage;

pub(crate) use file::{LetterFile, letter_schema};
pub(crate) use folder::LetterFolder;
pub(crate) use labels::SplitLabels;
pub(crate) use stage::{Keeper, NoLettersError, StageErrors};
