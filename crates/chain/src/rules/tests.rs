use super::*;

fn shown(text: &str) -> String {
    parse(text)
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .to_string()
}

#[test]
fn reads_the_operators_with_their_precedence() {
    for (text, meaning) in [
        ("A(`x`)", r#"A("x")"#),
        ("!A(`x`)", r#"!A("x")"#),
        ("!!A(`x`)", r#"!!A("x")"#),
        ("(A(`x`))", r#"A("x")"#),
        ("((A(`x`)))", r#"A("x")"#),
        ("A(`x`)&&B(`y`)", r#"(A("x") && B("y"))"#),
        (
            "A(`x`) && B(`y`) && C(`z`)",
            r#"(A("x") && B("y") && C("z"))"#,
        ),
        (
            "A(`x`) || B(`y`) && C(`z`)",
            r#"(A("x") || (B("y") && C("z")))"#,
        ),
        (
            "A(`x`) && B(`y`) || C(`z`)",
            r#"((A("x") && B("y")) || C("z"))"#,
        ),
        (
            "(A(`x`) || B(`y`)) && C(`z`)",
            r#"((A("x") || B("y")) && C("z"))"#,
        ),
        ("!A(`x`) && B(`y`)", r#"(!A("x") && B("y"))"#),
        ("!(A(`x`) || B(`y`))", r#"!(A("x") || B("y"))"#),
        ("A(`x`, \"y\", `z`)", r#"A("x", "y", "z")"#),
        ("A(`x`,)", r#"A("x")"#),
        ("A ( `x` )", r#"A("x")"#),
        ("A(`x`) &&\n\tB(`y`)", r#"(A("x") && B("y"))"#),
        ("A(`x`)\n&& B(`y`)", r#"(A("x") && B("y"))"#),
        (
            "A(`x`) /* why */ && // so\n B(`y`)",
            r#"(A("x") && B("y"))"#,
        ),
    ] {
        assert_eq!(shown(text), meaning);
    }
}

#[test]
fn reads_literals_as_go_does() {
    for (literal, text) in [
        ("`a\\d+`", "a\\d+"),
        ("`a\"b`", "a\"b"),
        ("`a\r\nb`", "a\nb"),
        (r#""a`b""#, "a`b"),
        (r#""a\"b\\c""#, "a\"b\\c"),
        (r#""\a\b\f\n\r\t\v""#, "\x07\x08\x0c\n\r\t\x0b"),
        (r#""\x41\101\u00e9\U0001F600""#, "AA\u{e9}\u{1f600}"),
        ("`\u{e9}`", "\u{e9}"),
    ] {
        let rule = parse(&format!("A({literal})"));
        let Ok(Expr::Leaf(call)) = rule else {
            panic!("{literal}: {rule:?}");
        };
        assert_eq!(call.args, [text]);
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    for (text, what, at) in [
        ("", "expected a function, ! or (", 0),
        ("  ", "expected a function, ! or (", 2),
        ("A", "expected ( after the function", 1),
        ("A()", "a function without arguments", 0),
        ("A(``)", "an empty argument", 2),
        ("A(`x`, \"\")", "an empty argument", 7),
        ("A(x)", "expected text in quotes", 2),
        ("A(1)", "an unexpected character", 2),
        ("A('x')", "an unexpected character", 2),
        ("A(`x` `y`)", "expected , or )", 6),
        ("A(`x`", "expected , or )", 5),
        ("A(`x)", "a literal without an end", 2),
        ("A(\"x)", "a literal without an end", 2),
        ("A(\"x\ny\")", "a literal without an end", 2),
        (r#"A("\d")"#, "an unknown escape", 3),
        (r#"A("\xff")"#, "an escape that is no character", 3),
        (r#"A("\400")"#, "an escape that is no character", 3),
        (r#"A("\ud800")"#, "an unknown escape", 3),
        (r#"A("\u+041")"#, "an unknown escape", 3),
        ("A(`x`) B(`y`)", "expected && or ||", 7),
        ("A(`x`) &&", "expected a function, ! or (", 9),
        ("&& A(`x`)", "expected a function, ! or (", 0),
        ("A(`x`) & B(`y`)", "an unexpected character", 7),
        ("(A(`x`)", "expected )", 7),
        ("A(`x`))", "expected && or ||", 6),
        ("A(`x`) == B(`y`)", "an unexpected character", 7),
        ("A(`x`) /* so", "a comment without an end", 7),
    ] {
        assert_eq!(parse(text), Err(RuleError::Syntax { what, at }), "{text}");
    }
}

#[test]
fn nesting_has_a_limit_and_length_has_none() {
    let nested = |depth: usize| format!("{}A(`x`){}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(99)).is_ok());
    assert!(matches!(
        parse(&nested(100)),
        Err(RuleError::Syntax {
            what: "nested too deep",
            ..
        })
    ));
    assert!(parse(&nested(1_000_000)).is_err());
    assert!(parse(&format!("{}A(`x`)", "!".repeat(1_000_000))).is_err());
    let long = vec!["A(`x`)"; 100_000].join(" && ");
    assert!(matches!(parse(&long), Ok(Expr::All(parts)) if parts.len() == 100_000));
}

#[test]
fn a_value_needs_no_more_leaves_than_decide_it() {
    let rule = parse("A(`t`) || B(`t`) && C(`f`)").unwrap();
    let mut asked = Vec::new();
    let value = rule.is_true(&mut |call| {
        asked.push(call.name.clone());
        call.args[0] == "t"
    });
    assert!(value);
    assert_eq!(asked, ["A"]);
}
