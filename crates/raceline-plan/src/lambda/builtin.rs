//! The functions of Python, `math` and NumPy that the compiler knows, by the names that the front
//! end gives them.

/// A function that a program may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// `abs`
    Abs,
    /// `bool`
    Bool,
    /// `dict`
    Dict,
    /// `float`
    Float,
    /// `int`
    Int,
    /// `len`
    Len,
    /// `max`
    Max,
    /// `min`
    Min,
    /// `round`
    Round,
    /// `str`
    Str,
    /// A function of `math`.
    Math(Math),
    /// A function of NumPy.
    Numpy(Numpy),
    /// A type of NumPy.
    Element(Element),
}

/// A function of the module `math`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are named as in Python, and mean the same")]
pub enum Math {
    Acos,
    Asin,
    Atan,
    Atan2,
    Ceil,
    Copysign,
    Cos,
    Cosh,
    Degrees,
    Exp,
    Expm1,
    Fabs,
    Floor,
    Fmod,
    Gcd,
    Isfinite,
    Isinf,
    Isnan,
    Log,
    Log10,
    Log1p,
    Log2,
    Pow,
    Radians,
    Sin,
    Sinh,
    Sqrt,
    Tan,
    Tanh,
    Trunc,
}

/// A function of NumPy on arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are named as in NumPy, and mean the same")]
pub enum Numpy {
    Absolute,
    Ceil,
    Clip,
    Floor,
    Isfinite,
    Isinf,
    Isnan,
    LogicalAnd,
    LogicalNot,
    LogicalOr,
    Maximum,
    Minimum,
    Rint,
    Sqrt,
    Square,
    Trunc,
    Where,
}

/// The type of the elements of a NumPy array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are named as in NumPy, and mean the same")]
pub enum Element {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Float32,
    Float64,
}

const NAMES: &[(&str, Builtin)] = &[
    ("abs", Builtin::Abs),
    ("bool", Builtin::Bool),
    ("dict", Builtin::Dict),
    ("float", Builtin::Float),
    ("int", Builtin::Int),
    ("len", Builtin::Len),
    ("max", Builtin::Max),
    ("min", Builtin::Min),
    ("round", Builtin::Round),
    ("str", Builtin::Str),
    ("math.acos", Builtin::Math(Math::Acos)),
    ("math.asin", Builtin::Math(Math::Asin)),
    ("math.atan", Builtin::Math(Math::Atan)),
    ("math.atan2", Builtin::Math(Math::Atan2)),
    ("math.ceil", Builtin::Math(Math::Ceil)),
    ("math.copysign", Builtin::Math(Math::Copysign)),
    ("math.cos", Builtin::Math(Math::Cos)),
    ("math.cosh", Builtin::Math(Math::Cosh)),
    ("math.degrees", Builtin::Math(Math::Degrees)),
    ("math.exp", Builtin::Math(Math::Exp)),
    ("math.expm1", Builtin::Math(Math::Expm1)),
    ("math.fabs", Builtin::Math(Math::Fabs)),
    ("math.floor", Builtin::Math(Math::Floor)),
    ("math.fmod", Builtin::Math(Math::Fmod)),
    ("math.gcd", Builtin::Math(Math::Gcd)),
    ("math.isfinite", Builtin::Math(Math::Isfinite)),
    ("math.isinf", Builtin::Math(Math::Isinf)),
    ("math.isnan", Builtin::Math(Math::Isnan)),
    ("math.log", Builtin::Math(Math::Log)),
    ("math.log10", Builtin::Math(Math::Log10)),
    ("math.log1p", Builtin::Math(Math::Log1p)),
    ("math.log2", Builtin::Math(Math::Log2)),
    ("math.pow", Builtin::Math(Math::Pow)),
    ("math.radians", Builtin::Math(Math::Radians)),
    ("math.sin", Builtin::Math(Math::Sin)),
    ("math.sinh", Builtin::Math(Math::Sinh)),
    ("math.sqrt", Builtin::Math(Math::Sqrt)),
    ("math.tan", Builtin::Math(Math::Tan)),
    ("math.tanh", Builtin::Math(Math::Tanh)),
    ("math.trunc", Builtin::Math(Math::Trunc)),
    ("np.absolute", Builtin::Numpy(Numpy::Absolute)),
    ("np.ceil", Builtin::Numpy(Numpy::Ceil)),
    ("np.clip", Builtin::Numpy(Numpy::Clip)),
    ("np.floor", Builtin::Numpy(Numpy::Floor)),
    ("np.isfinite", Builtin::Numpy(Numpy::Isfinite)),
    ("np.isinf", Builtin::Numpy(Numpy::Isinf)),
    ("np.isnan", Builtin::Numpy(Numpy::Isnan)),
    ("np.logical_and", Builtin::Numpy(Numpy::LogicalAnd)),
    ("np.logical_not", Builtin::Numpy(Numpy::LogicalNot)),
    ("np.logical_or", Builtin::Numpy(Numpy::LogicalOr)),
    ("np.maximum", Builtin::Numpy(Numpy::Maximum)),
    ("np.minimum", Builtin::Numpy(Numpy::Minimum)),
    ("np.rint", Builtin::Numpy(Numpy::Rint)),
    ("np.sqrt", Builtin::Numpy(Numpy::Sqrt)),
    ("np.square", Builtin::Numpy(Numpy::Square)),
    ("np.trunc", Builtin::Numpy(Numpy::Trunc)),
    ("np.where", Builtin::Numpy(Numpy::Where)),
    ("np.bool", Builtin::Element(Element::Bool)),
    ("np.int8", Builtin::Element(Element::Int8)),
    ("np.int16", Builtin::Element(Element::Int16)),
    ("np.int32", Builtin::Element(Element::Int32)),
    ("np.int64", Builtin::Element(Element::Int64)),
    ("np.uint8", Builtin::Element(Element::Uint8)),
    ("np.uint16", Builtin::Element(Element::Uint16)),
    ("np.uint32", Builtin::Element(Element::Uint32)),
    ("np.float32", Builtin::Element(Element::Float32)),
    ("np.float64", Builtin::Element(Element::Float64)),
];

impl Builtin {
    /// The function of this name; `None` when the compiler knows none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|&(_, builtin)| builtin)
    }

    /// Its name, as a program spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, builtin)| *builtin == self).map_or("", |(name, _)| name)
    }
}

impl Element {
    /// The type that a string names, as in `.astype("float32")`.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "int" | "i8" => Self::Int64,
            "float" | "f8" => Self::Float64,
            "f4" => Self::Float32,
            "i4" => Self::Int32,
            "i2" => Self::Int16,
            "i1" => Self::Int8,
            "u4" => Self::Uint32,
            "u2" => Self::Uint16,
            "u1" => Self::Uint8,
            _ => match Builtin::from_name(&format!("np.{text}"))? {
                Builtin::Element(element) => element,
                _ => return None,
            },
        })
    }
}
