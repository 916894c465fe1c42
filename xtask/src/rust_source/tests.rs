//! The lexer on the things that make Rust hard to scan by eye.

use super::*;

fn codes(text: &str) -> Vec<String> {
    Source::scan(text).lines.into_iter().map(|line| line.code).collect()
}

#[test]
fn comments_and_strings_are_not_code() {
    let source = Source::scan("let a = \"no // comment\"; // a comment with \"quotes\"");
    assert_eq!(source.lines[0].code, "let a = \"\"; ");
    assert_eq!(source.lines[0].comment, " a comment with \"quotes\"");
    assert_eq!(source.lines[0].literal, "no // comment");
}

#[test]
fn block_comments_nest_and_span_lines() {
    assert_eq!(codes("a /* x /* y */\nz */ b"), ["a ", " b"]);
}

#[test]
fn raw_strings_end_at_their_own_hashes() {
    assert_eq!(codes("f(r#\"a \" b\"#, br\"c\", var\"\")"), ["f(\"\", b\"\", var\"\")"]);
}

#[test]
fn a_lifetime_is_not_a_character_literal() {
    assert_eq!(
        codes("fn f<'a>(x: &'a str) { '\"'; '\\''; '{' }"),
        ["fn f<'a>(x: &'a str) { ; ;  }"]
    );
}

#[test]
fn escaped_quotes_do_not_end_a_string() {
    assert_eq!(codes("a(\"x\\\"y\"); b"), ["a(\"\"); b"]);
}

#[test]
fn a_continued_string_keeps_the_count_of_lines() {
    assert_eq!(codes("a(\"x\\\n  y\");\nb"), ["a(\"", "\");", "b"]);
}

#[test]
fn a_test_module_is_marked_to_its_closing_brace() {
    let source = Source::scan("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}");
    let tests: Vec<bool> = source.lines.iter().map(|line| line.test).collect();
    assert_eq!(tests, [false, true, true, true, true, false]);
    assert_eq!(source.code_line_count(), 2);
}

#[test]
fn a_test_module_in_its_own_file_is_named() {
    let source = Source::scan("#[cfg(test)]\nmod tests;\nmod other;");
    assert_eq!(source.test_modules.into_iter().collect::<Vec<_>>(), ["tests"]);
    assert!(!source.lines[2].test);
}

#[test]
fn a_function_ends_at_its_closing_brace() {
    let text = "trait T { fn declared(&self, a: [u8; 3]); }\n\
                fn long(\n    a: u8,\n) -> u8 {\n    if a > 1 { 2 } else { 3 }\n}\nfn next() {}";
    let functions: Vec<(String, usize, usize)> = Source::scan(text)
        .functions()
        .into_iter()
        .map(|function| (function.name, function.first_line, function.line_count))
        .collect();
    assert_eq!(functions, [("long".to_owned(), 2, 5), ("next".to_owned(), 7, 1)]);
}

#[test]
fn functions_of_tests_are_left_out() {
    assert!(
        Source::scan("#[cfg(test)]\nmod tests {\n    fn a() {\n    }\n}").functions().is_empty()
    );
}
