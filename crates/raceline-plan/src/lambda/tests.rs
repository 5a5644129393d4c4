//! What compiles, to which expressions, and what is declined with which reason.

use arrow::datatypes::{DataType, Field, Schema};
use raceline_types::plain_value_field;

use super::*;
use crate::udf::{BatchFormat, UdfKind};
use Instruction::{Column, Compare, DictOfKeys, JumpIf, Load, Return, Store};

fn program(constants: Vec<Constant>, code: Vec<Instruction>) -> Program {
    Program { slots: 2, constants, code, row_is_value: false, int_roots: false, functions: vec![] }
}

fn binary(op: BinaryOp) -> Instruction {
    Instruction::Binary { op, in_place: false }
}

fn column(name: &str) -> Instruction {
    Column(name.to_owned())
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("f", DataType::Float32, true),
        Field::new("s", DataType::Utf8View, true),
        Field::new("t", DataType::Binary, true),
    ])
}

fn compiled(program: &Program, kind: UdfKind) -> Result<Compiled, String> {
    compile(program, kind, BatchFormat::Numpy, &schema()).map_err(|decline| decline.reason)
}

fn check_decline(program: &Program, kind: UdfKind, reason: &str) {
    assert_eq!(compiled(program, kind).unwrap_err(), reason);
}

/// `{"d": row["a"] * 2}`
fn doubled() -> Program {
    let code = vec![
        Load(0),
        column("a"),
        Instruction::Constant(0),
        binary(BinaryOp::Multiply),
        DictOfKeys(vec!["d".into()]),
        Return,
    ];
    program(vec![Constant::Int(2)], code)
}

#[test]
fn a_dict_becomes_columns_of_pythons_types() {
    let Compiled::Columns(outputs) = compiled(&doubled(), UdfKind::Map).unwrap() else {
        panic!("a dict is columns");
    };
    assert_eq!(outputs[0].field, Field::new("d", DataType::Int64, true));
    assert_eq!(outputs[0].expr.to_string(), "py_int_multiply(a, Int64(2))");
}

#[test]
fn a_returned_row_is_its_columns_as_python_returns_them() {
    let mut row = schema();
    row = Schema::new(row.fields().iter().take(3).cloned().collect::<Vec<_>>());
    let result =
        compile(&program(vec![], vec![Load(0), Return]), UdfKind::Map, BatchFormat::Numpy, &row);
    let types: Vec<_> = result
        .unwrap()
        .output_schema(&row)
        .fields()
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    assert_eq!(types, [DataType::Int64, DataType::Float64, DataType::Utf8]);
}

#[test]
fn a_value_that_is_computed_and_dropped_is_still_evaluated_because_it_may_raise() {
    let dropped = program(
        vec![Constant::Int(1)],
        vec![
            Instruction::Constant(0),
            Load(0),
            column("a"),
            binary(BinaryOp::Divide),
            Store(1),
            Load(0),
            column("a"),
            Return,
        ],
    );
    let Ok(Compiled::PlainValue(output)) = compiled(&dropped, UdfKind::Map) else {
        panic!("a scalar is a plain value");
    };
    let expected = "py_after(a, py_float_divide(py_exact_float(Int64(1)), py_exact_float(a)))";
    assert_eq!(output.expr.to_string(), expected);
}

#[test]
fn a_condition_that_may_raise_stays_when_both_ways_agree() {
    let code = vec![
        Load(0),
        column("a"),
        Instruction::Constant(0),
        Compare(CompareOp::Greater),
        JumpIf { target: 7, when: false },
        Instruction::Constant(0),
        Return,
        Instruction::Constant(0),
        Return,
    ];
    let Ok(Compiled::PlainValue(output)) =
        compiled(&program(vec![Constant::Int(1)], code), UdfKind::Map)
    else {
        panic!("a scalar is a plain value");
    };
    assert!(output.expr.to_string().contains("py_int_greater"), "{}", output.expr);
}

#[test]
fn declines_say_what_stands_in_the_way() {
    let of = |code: Vec<Instruction>| program(vec![Constant::None, Constant::Int(1)], code);
    let on = |name: &str, more: Vec<Instruction>| {
        let mut code = vec![Load(0), column(name)];
        code.extend(more);
        code.push(Return);
        of(code)
    };
    let one = Instruction::Constant(1);
    let map = UdfKind::Map;
    check_decline(&on("zip", vec![]), map, "there is no column `zip`");
    check_decline(&on("t", vec![]), map, "column `t` is Binary");
    let add = vec![one.clone(), binary(BinaryOp::Add)];
    check_decline(&on("s", add.clone()), map, "it computes `str + int`");
    check_decline(&of(vec![Instruction::Constant(0), Return]), map, "it returns None");
    check_decline(&of(vec![Load(1), Return]), map, "it may use a variable before it is set");
    check_decline(&doubled(), UdfKind::FlatMap, "it returns something other than a list of rows");
    check_decline(&doubled(), UdfKind::Filter, "it returns a dict where a value is expected");
    check_decline(&on("a", add), UdfKind::MapBatches, "it returns no dict");
    let whole = vec![Load(0), one, binary(BinaryOp::Add), Return];
    check_decline(&of(whole), map, "it uses the whole row or batch as an operand");
    let store = vec![Instruction::Constant(1), Load(0), Instruction::StoreColumn("a".into())];
    check_decline(&of(store), UdfKind::Filter, "it changes the row");
}

#[test]
fn numpy_columns_are_checked_for_nulls_and_wrap() {
    let Compiled::Columns(outputs) = compiled(&doubled(), UdfKind::MapBatches).unwrap() else {
        panic!("a dict is columns");
    };
    assert_eq!(outputs[0].expr.to_string(), "np_int_multiply(np_column(a), Int64(2))");
}

#[test]
fn the_row_is_its_value_in_one_column_only() {
    let mut halved = program(
        vec![Constant::Int(2)],
        vec![Load(0), Instruction::Constant(0), binary(BinaryOp::FloorDivide), Return],
    );
    halved.row_is_value = true;
    check_decline(&halved, UdfKind::Map, "it uses the row as a value, and a row has 4 columns");
    let one = Schema::new(vec![Field::new("id", DataType::Int32, false)]);
    let result = compile(&halved, UdfKind::Map, BatchFormat::Numpy, &one).unwrap();
    let expected = Schema::new(vec![plain_value_field(&Field::new("", DataType::Int64, true))]);
    assert_eq!(*result.output_schema(&one), expected);
}

#[test]
fn repeated_doubling_is_bounded() {
    let mut code = vec![Load(0), column("a")];
    for _ in 0..30 {
        code.extend([Instruction::Copy(1), binary(BinaryOp::Add)]);
    }
    code.push(Return);
    check_decline(&program(vec![], code), UdfKind::Map, "its expression is too large");
}

#[test]
fn branches_are_bounded() {
    let mut code = Vec::new();
    for number in 0..20_usize {
        code.extend([
            Load(0),
            column("a"),
            Instruction::Constant(number),
            Compare(CompareOp::Less),
            JumpIf { target: 6 * number + 6, when: true },
            Instruction::Jump(6 * number + 6),
        ]);
    }
    code.extend([Load(0), column("a"), Return]);
    let constants = (0..20).map(Constant::Int).collect();
    check_decline(&program(constants, code), UdfKind::Map, "its expression is too large");
}

#[test]
fn malformed_programs_are_declined() {
    for code in [
        vec![],
        vec![Return],
        vec![Load(9), Return],
        vec![Instruction::Constant(9), Return],
        vec![Load(0), Instruction::Swap(0), Return],
        vec![Instruction::Jump(0)],
    ] {
        assert!(compiled(&program(vec![], code), UdfKind::Map).is_err());
    }
}

#[test]
fn a_key_is_a_column_beside_those_of_the_input_and_never_replaces_one() {
    let row = |name: &str| Schema::new(vec![Field::new(name, DataType::Int64, true)]);
    let of_column = |name: &str| {
        let body = program(vec![], vec![Load(0), column(name), Return]);
        compile(&body, UdfKind::Key, BatchFormat::Numpy, &row(name))
    };
    let output = of_column("a").unwrap().output_schema(&row("a"));
    assert_eq!(output.fields().iter().map(|field| field.name()).collect::<Vec<_>>(), ["a", "key"]);
    assert_eq!(of_column("key").unwrap_err().reason, "its input has a column `key` already");
}

fn call(arguments: usize) -> Instruction {
    Instruction::Call { arguments, keywords: vec![] }
}

#[test]
fn the_columns_that_an_index_selects_share_their_mask() {
    let selected = |name: &str| {
        vec![
            Load(0),
            column(name),
            Load(0),
            column("a"),
            Instruction::Constant(0),
            Compare(CompareOp::Greater),
            Instruction::Item,
        ]
    };
    let mut code = selected("a");
    code.extend(selected("s"));
    code.extend([DictOfKeys(vec!["x".into(), "y".into()]), Return]);
    let both = program(vec![Constant::Int(1)], code.clone());
    let Ok(Compiled::Selected { outputs, mask }) = compiled(&both, UdfKind::MapBatches) else {
        panic!("a selection has a mask");
    };
    assert_eq!(outputs.len(), 2);
    assert_eq!(mask.to_string(), "py_int_greater(np_column(a), Int64(1))");
    let mut code = selected("a");
    code.extend([Load(0), column("s"), DictOfKeys(vec!["x".into(), "y".into()]), Return]);
    let one = program(vec![Constant::Int(1)], code);
    check_decline(&one, UdfKind::MapBatches, "its columns consist of different rows");
}

#[test]
fn a_list_becomes_rows_that_may_be_absent() {
    let code = vec![
        Load(0),
        column("a"),
        JumpIf { target: 5, when: false },
        Load(0),
        Instruction::Jump(7),
        Instruction::List(0),
        Return,
        column("a"),
        Instruction::List(1),
        Return,
    ];
    let Ok(Compiled::Rows { rows, are_values }) =
        compiled(&program(vec![], code), UdfKind::FlatMap)
    else {
        panic!("a list is rows");
    };
    assert!(are_values);
    let present = rows[0].present.as_ref().unwrap().to_string();
    assert_eq!(present, "CASE WHEN py_truth(a) THEN Boolean(true) ELSE Boolean(false) END");
}

#[test]
fn functions_are_followed_and_their_depth_is_bounded() {
    let called = |body: Vec<Instruction>| Program {
        functions: vec![Function {
            name: "f".into(),
            parameters: vec![Parameter { name: "x".into(), default: Some(Constant::Int(7)) }],
            positional: 1,
            positional_only: 0,
            slots: 1,
            constants: vec![Constant::Int(2)],
            code: body,
        }],
        ..program(vec![], vec![Instruction::Function(0), Load(0), column("a"), call(1), Return])
    };
    let doubled = vec![Load(0), Instruction::Constant(0), binary(BinaryOp::Multiply), Return];
    let Ok(Compiled::PlainValue(output)) = compiled(&called(doubled.clone()), UdfKind::Map) else {
        panic!("a scalar is a plain value");
    };
    assert_eq!(output.expr.to_string(), "py_int_multiply(a, Int64(2))");
    let endless = vec![Instruction::Function(0), Load(0), call(1), Return];
    check_decline(&called(endless), UdfKind::Map, "its calls of `f` are too deep");
    let mut misfit = called(doubled);
    misfit.code = vec![Instruction::Function(0), Load(0), Load(0), call(2), Return];
    check_decline(&misfit, UdfKind::Map, "it calls `f` with arguments that do not fit");
}

#[test]
fn a_condition_under_a_none_is_not_lost() {
    // `None if row["s"] else (None if 1 / row["a"] else None)`, beside a value.
    let code = vec![
        Load(0),
        column("s"),
        JumpIf { target: 11, when: true },
        Instruction::Constant(1),
        Load(0),
        column("a"),
        binary(BinaryOp::Divide),
        JumpIf { target: 9, when: true },
        Instruction::Jump(9),
        Instruction::Constant(0),
        Return,
        Instruction::Constant(1),
        Return,
    ];
    let body = program(vec![Constant::None, Constant::Int(1)], code);
    let Ok(Compiled::PlainValue(output)) = compiled(&body, UdfKind::Map) else {
        panic!("a scalar is a plain value");
    };
    assert!(output.expr.to_string().contains("py_float_divide"), "{}", output.expr);
}

#[test]
fn every_builtin_has_a_name_of_its_own() {
    for name in ["abs", "math.sqrt", "np.where", "np.float32"] {
        assert_eq!(Builtin::from_name(name).map(Builtin::name), Some(name));
    }
    assert_eq!(Builtin::from_name("np.sin"), None);
}
