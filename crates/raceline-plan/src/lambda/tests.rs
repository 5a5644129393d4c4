//! What compiles, to which expressions, and what is declined with which reason.

use arrow::datatypes::{DataType, Field, Schema};
use raceline_types::plain_value_field;

use super::*;
use crate::udf::{BatchFormat, UdfKind};
use Instruction::{Column, Compare, DictOfKeys, JumpIf, Load, Return, Store};

fn program(constants: Vec<Constant>, code: Vec<Instruction>) -> Program {
    Program { slots: 2, constants, code, row_is_value: false }
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
        Field::new("t", DataType::Date32, true),
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
fn a_value_that_is_computed_and_dropped_is_declined_because_it_may_raise() {
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
    check_decline(&dropped, UdfKind::Map, "it computes a value that it does not use");
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
    check_decline(&on("t", vec![]), map, "column `t` is Date32");
    let add = vec![one.clone(), binary(BinaryOp::Add)];
    check_decline(&on("s", add.clone()), map, "it computes `str + int`");
    check_decline(&of(vec![Instruction::Constant(0), Return]), map, "it returns None");
    check_decline(&of(vec![Load(1), Return]), map, "it may use a variable before it is set");
    check_decline(&doubled(), UdfKind::FlatMap, "it returns any number of rows");
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
