//! The version-neutral form of a Python function's body.

use super::builtin::Builtin;

/// The body of a Python function, with the values it captured.
///
/// The machine has a stack and numbered slots. Slot 0 holds the row or batch; the front end
/// fills other parameters by storing constants first. Execution starts at instruction 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Number of slots.
    pub slots: usize,
    /// What [`Instruction::Constant`] refers to.
    pub constants: Vec<Constant>,
    /// The instructions. Jumps lead to indices in this list and only forward.
    pub code: Vec<Instruction>,
    /// Whether the function uses the row itself as an operand, so that a row of a one-column
    /// dataset stands for its value.
    pub row_is_value: bool,
    /// Whether NumPy takes arrays of int to the power 0.5 as square roots, as it does since 2.3;
    /// before, the last digits depend on the processor.
    pub int_roots: bool,
    /// Functions of the user that the program, or one of these, calls.
    pub functions: Vec<Function>,
}

/// A function of the user that a program calls by name. Its parameters fill its first slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name, for people.
    pub name: String,
    /// Its parameters: those that may be given by position first.
    pub parameters: Vec<Parameter>,
    /// How many parameters may be given by position.
    pub positional: usize,
    /// How many parameters may be given by position only.
    pub positional_only: usize,
    /// Number of slots.
    pub slots: usize,
    /// What [`Instruction::Constant`] refers to.
    pub constants: Vec<Constant>,
    /// The instructions, as in a [`Program`].
    pub code: Vec<Instruction>,
}

/// A parameter of a [`Function`].
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its default value.
    pub default: Option<Constant>,
}

/// An immutable Python value.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An `int` that fits 64 bits.
    Int(i64),
    /// A `float`.
    Float(f64),
    /// A `str`.
    Str(String),
    /// A `tuple`.
    Tuple(Vec<Self>),
    /// A `frozenset`, in any order.
    Set(Vec<Self>),
}

/// A unary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-x`
    Negative,
    /// `+x`
    Positive,
    /// `~x`
    Invert,
    /// `not x`
    Not,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    FloorDivide,
    /// `%`
    Modulo,
    /// `**`
    Power,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
}

/// An ordering or equality operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// One instruction of the stack machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Instruction {
    /// Pushes the value of a slot.
    Load(usize),
    /// Pops into a slot.
    Store(usize),
    /// Pushes a constant.
    Constant(usize),
    /// Pops a dict, pushes its entry of this name.
    Column(String),
    /// Pops a dict, then a value, and sets the dict's entry of this name.
    StoreColumn(String),
    /// Pops one, pushes one.
    Unary(UnaryOp),
    /// Pops right, then left, pushes the result.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Whether it is written `left op= right`.
        in_place: bool,
    },
    /// Pops right, then left, pushes the result.
    Compare(CompareOp),
    /// Pops right, then left, pushes whether they are one object.
    Is {
        /// `is not`.
        negated: bool,
    },
    /// Pops the container, then the item, pushes whether it is inside.
    Contains {
        /// `not in`.
        negated: bool,
    },
    /// Goes on at an index.
    Jump(usize),
    /// Pops a value and goes on at `target` when its truth is `when`.
    JumpIf {
        /// Index of the next instruction.
        target: usize,
        /// The truth that jumps.
        when: bool,
    },
    /// Pushes the `n`-th value from the top, counted from 1.
    Copy(usize),
    /// Swaps the top with the `n`-th value from the top, counted from 1.
    Swap(usize),
    /// Drops the top.
    Pop,
    /// Pops that many pairs of key and value, pushes a dict of them.
    Dict(usize),
    /// Pops one value for each key, pushes a dict of them.
    DictOfKeys(Vec<String>),
    /// Pops a dict and updates the dict that is then the `n`-th from the top with it.
    DictUpdate(usize),
    /// Pops that many values, pushes a tuple of them.
    Tuple(usize),
    /// Pops that many values, pushes a list of them.
    List(usize),
    /// Pops a tuple or list and extends the list that is then the `n`-th from the top.
    ListExtend(usize),
    /// Pops a value, then a key, and sets the entry of the dict that is then the `n`-th from
    /// the top.
    MapAdd(usize),
    /// Pops a tuple or list of that many values and pushes them, the first one on top.
    Unpack(usize),
    /// Pops a key, then a container, pushes the item.
    Item,
    /// Pops a key, then a dict, then a value, and sets the entry.
    StoreItem,
    /// Pops a key, then a dict, and removes the entry.
    DeleteItem,
    /// Pops that many bounds of a slice, 2 or 3, pushes the slice.
    Slice(usize),
    /// Pops a value, pushes its attribute of this name.
    Attribute(String),
    /// Pushes a function of the language or a library.
    Builtin(Builtin),
    /// Pushes one of [`Program::functions`].
    Function(usize),
    /// Pops the arguments, those with keywords last, then what is called; pushes the result.
    Call {
        /// How many arguments there are.
        arguments: usize,
        /// The keywords of the last ones.
        keywords: Vec<String>,
    },
    /// Pops a format, when there is one, then a value, pushes its text.
    Format {
        /// Whether there is a format.
        has_format: bool,
    },
    /// Pops that many strings, pushes them in one.
    Join(usize),
    /// Pops the result and ends.
    Return,
}
