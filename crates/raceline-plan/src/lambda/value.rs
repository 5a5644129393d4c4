//! What lies on the abstract interpreter's stack.

use super::builtin::Builtin;
use super::decline::Decline;
use super::program::Constant;
use super::term::Term;

/// A value on the stack or in a slot.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A scalar, or an array of a batch.
    Term(Term),
    /// A dict, by its place in the frame: two of them can be one object.
    Dict(usize),
    /// A tuple or list that nothing changes.
    Sequence(Sequence),
    /// A frozenset, in any order.
    Set(Vec<Self>),
    /// `start:stop:step`.
    Slice(Vec<Term>),
    /// A function of the language or a library.
    Builtin(Builtin),
    /// A function of the user, by its index in the program.
    Function(usize),
    /// A method that is called next, or an attribute that is not known.
    Method(Box<Self>, String),
}

/// A tuple or list.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    pub(super) items: Vec<Value>,
    pub(super) is_list: bool,
}

/// The entries of a dict in order. An entry that cannot be used says why.
#[derive(Clone, Debug, Default)]
pub(super) struct Dict {
    pub(super) entries: Vec<(String, Result<Term, Decline>)>,
}

impl Value {
    /// A constant.
    pub(super) fn constant(constant: &Constant) -> Self {
        match constant {
            Constant::Tuple(items) => Self::Sequence(Sequence {
                items: items.iter().map(Self::constant).collect(),
                is_list: false,
            }),
            Constant::Set(items) => Self::Set(items.iter().map(Self::constant).collect()),
            scalar => Self::Term(Term::scalar(scalar)),
        }
    }

    /// The scalar or array.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn into_term(self) -> Result<Term, Decline> {
        Err(Decline::new(match self {
            Self::Term(term) => return Ok(term),
            // The row or batch is the first dict.
            Self::Dict(0) => "it uses the whole row or batch as an operand".into(),
            Self::Dict(_) => "it uses a dict as an operand".into(),
            Self::Sequence(Sequence { is_list: true, .. }) => "it uses a list as an operand".into(),
            Self::Sequence(_) => "it uses a tuple as an operand".into(),
            Self::Set(_) => "it uses a set as an operand".into(),
            Self::Slice(_) => "it uses a slice as an operand".into(),
            Self::Builtin(builtin) => format!("it uses `{}` as an operand", builtin.name()),
            Self::Function(_) => "it uses a function as an operand".into(),
            Self::Method(_, name) => format!("it uses the attribute `.{name}`"),
        }))
    }

    /// Refuses to keep or drop a method that is not called: whether there is one is judged by
    /// the call.
    ///
    /// # Errors
    /// When it is one.
    pub(super) fn check_kept(&self) -> Result<(), Decline> {
        match self {
            Self::Method(_, name) => Err(Decline::new(format!("it uses the attribute `.{name}`"))),
            _ => Ok(()),
        }
    }

    /// The constant, when it is one that is no tuple.
    pub(super) fn as_constant(&self) -> Option<&Constant> {
        match self {
            Self::Term(term) => term.constant.as_ref(),
            _ => None,
        }
    }

    /// Whether it is `None`, as the program says.
    pub(super) fn is_none(&self) -> bool {
        self.as_constant() == Some(&Constant::None)
    }
}

impl Dict {
    /// Sets an entry as Python's dict does: a key keeps its first place and its last value.
    pub(super) fn set(&mut self, name: &str, value: Result<Term, Decline>) {
        match self.entries.iter_mut().find(|(known, _)| known == name) {
            Some((_, entry)) => *entry = value,
            None => self.entries.push((name.to_owned(), value)),
        }
    }

    /// The entry of a key; `None` when there is none.
    pub(super) fn get(&self, name: &str) -> Option<&Result<Term, Decline>> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, entry)| entry)
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, name: &str) -> Option<Result<Term, Decline>> {
        let index = self.entries.iter().position(|(known, _)| known == name)?;
        Some(self.entries.remove(index).1)
    }

    /// All entries, when each can be used.
    pub(super) fn columns(&self) -> Result<Vec<(String, Term)>, Decline> {
        self.entries.iter().map(|(name, entry)| Ok((name.clone(), entry.clone()?))).collect()
    }
}

/// The decline of a key that is not there.
pub(super) fn missing(name: &str) -> Decline {
    Decline::new(format!("there is no column `{name}`"))
}

/// The decline of a program that is not one.
pub(super) fn malformed() -> Decline {
    Decline::new("its translation is malformed")
}
