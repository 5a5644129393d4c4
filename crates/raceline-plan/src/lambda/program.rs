//! The version-neutral form of a Python function's body.

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
    /// A `tuple`, or a `frozenset` in any order.
    Tuple(Vec<Self>),
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
    /// Pops the result and ends.
    Return,
}
