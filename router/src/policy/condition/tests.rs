use std::collections::BTreeMap;

use super::work::Work;
use super::*;

fn fields() -> BTreeMap<String, String> {
    [("title", "Fine Béer"), ("age", "17"), ("my-field", "x")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
}

fn facts(fields: &BTreeMap<String, String>) -> Facts<'_> {
    Facts {
        client: "alehouse",
        content_id: "r-1",
        r#type: Some("review"),
        locale: Some("en-GB"),
        site: Some("uk"),
        author_id: Some("a-7"),
        product_id: Some("p-9"),
        rating: Some(2.0),
        fields,
        scores: &|rule| ["spam", "my-rule"].contains(&rule).then_some(0.25),
    }
}

fn holds(text: &str) -> Result<bool, String> {
    when(text).holds(&facts(&fields()))
}

fn when(text: &str) -> When {
    let condition = Condition::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    When::new(&condition)
}

fn fault(text: &str) -> String {
    Condition::parse(text).expect_err(text)
}

#[test]
fn what_is_accepted_is_true_of_the_example() {
    for text in [
        "content.type == 'review' && content.rating <= 2",
        "content.rating == 2 && content.rating == 2.0 && content.rating < 4.5 && 4.5 > 2",
        "content.rating in [1, 2] && !(content.rating in [2.5]) && !(content.rating in [])",
        "client == 'alehouse' && content.site != 'us' && content.content_id == 'r-1'",
        "content.author_id == 'a-7' && content.product_id.startsWith(r'p-')",
        "content.locale.startsWith('en') || content.locale in ['de-DE', 'fr-FR']",
        "content.fields.title.contains('Béer') && content.fields.title.endsWith('r')",
        "content.fields['my-field'] == 'x' && content['fields']['title'].size() == 9",
        "size(content.fields.title) == 9 && size(client) > 3",
        r"content.fields.title.matches('(?i)\\bfine\\b') && !client.matches(r'^\d+$')",
        "scores.spam > 0.2 && scores['my-rule'] < 1 && scores.spam * 2.0 + 0.1 < 0.7",
        "has(content.rating) && has(scores['my-rule']) && !has(content.fields.text)",
        "int(content.rating) % 2 == 0 && int(content.fields.age) < 18 && double(3) / 2.0 == 1.5",
        "double(content.fields.age) == 17 && int(7) == 7 && -content.rating == -2",
        "(has(content.site) ? content.site : client) == 'uk'",
        "has(content.site) == true && 'a' < 'b' && 7 / 2 * 2 - 1 == 5",
        "// a comment with (((\n\"((\" != r'\\((' && '''it's\n(''' != \"\"\"\\\"((\"\"\" // )",
        "content.fields.title.contains('((((((((((((((((((((((((((((((((((((') || true",
        "!!true && --1 == 1",
        "'\\u0041\\x42\\103' == 'ABC'",
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
}

#[test]
fn what_cannot_run_is_refused_with_its_place() {
    for (text, start) in [
        ("", "column 1: something is missing at the end"),
        ("  // nothing", "column 13: something is missing at the end"),
        ("- - - - - ", "column 11: something is missing at the end"),
        ("content.type == ", "column 17: something is missing at the end"),
        ("content.type = 'x'", "column 14: write `==`"),
        ("true & true", "column 6: write `&&`"),
        ("true true", "column 6: `true` is not expected here"),
        ("é == 'x'", "column 1: `é` has no meaning here"),
        ("'é' == contnt.type", "column 8: `contnt` is unknown"),
        ("content.ratng > 2", "column 1: `content.ratng` is unknown; content has type, locale, "),
        ("true && content.ratng > 2", "column 9: `content.ratng` is unknown"),
        ("true &&\n  content.ratng > 2", "line 2, column 3: `content.ratng` is unknown"),
        ("content.rating == 'x'", "column 16: a number never equals text"),
        ("content.type > 3", "column 14: two numbers or two texts have an order, but not text"),
        ("true < false", "column 6: two numbers or two texts"),
        ("!content.type", "column 2: `!` needs true or false, but this is text"),
        ("true && content.rating", "column 9: `&&` needs true or false, but this is a number"),
        ("content.rating", "column 1: the condition must be true or false, but this is a number"),
        ("content.rating * 2 > 3", "column 16: this needs two numbers, not a number and a whole"),
        ("'a' + 'b' == 'ab'", "column 5: this needs two numbers, not text and text"),
        ("content.rating % 2 == 0", "column 16: `%` needs two whole numbers"),
        ("-client == 'a'", "column 1: `-` needs a number, not text"),
        ("true ? 1 : 2.0", "column 6: both sides of `:` must be of one kind"),
        ("1 ? true : false", "column 1: `?` needs true or false"),
        ("content == 1", "column 1: name a part of `content`: type, "),
        ("content.fields == 1", "column 1: name a field"),
        ("scores > 1", "column 1: name a rule"),
        ("client.name == 'x'", "column 1: `client` has no parts"),
        ("content.type.x == 'x'", "column 1: `content.type` has no parts"),
        ("content.fields.a.b == 'x'", "column 1: `content.fields.a` has no parts"),
        ("scores.my-rule > 1", "column 11: `rule` is unknown"),
        ("scores['a b'] > 1", "column 1: `a b` is not a name"),
        ("content[client] == 'x'", "column 1: only content, client and scores have parts"),
        ("'abc'[0] == 'a'", "column 1: only content, client and scores have parts"),
        (".client == 'a'", "column 2: `.client` is unknown"),
        ("[1] == [1]", "column 1: a list can only stand after `in`"),
        ("client in content.type", "column 8: `in` needs a list"),
        ("client in [client]", "column 12: a list can only hold"),
        ("client in ['a', 1]", "column 17: text is never a whole number"),
        ("'a' in [null]", "column 9: nothing is ever null"),
        ("content.rating == null", "column 19: nothing is ever null; ask has(…)"),
        ("1u == 1", "column 1: write the number without `u`"),
        ("b'x' == b'x'", "column 1: bytes are not supported"),
        ("{'a': 1}.a == 1", "column 1: maps are not supported"),
        ("content.?type == 'a'", "column 8: unsupported syntax"),
        ("99999999999999999999 > 1", "column 1: invalid int literal"),
        ("if == 1", "column 1: reserved identifier: if"),
        ("content.`type` == 'x'", "column 9: write a name with other signs"),
        ("upper(client) == 'A'", "column 1: `upper` is unknown; there are the functions has, size"),
        ("true && client.lower() == 'A'", "column 16: `lower` is unknown"),
        ("['a'].all(x, true)", "column 7: `all` goes through lists"),
        ("has(client, client)", "column 1: `has` takes one name"),
        ("has('a')", "column 5: only content, client and scores"),
        ("has(content.x)", "column 5: `content.x` is unknown"),
        ("contains('a')", "column 1: `contains` stands behind a text"),
        ("content.rating.contains('a')", "column 1: `contains` needs text, but this is a number"),
        ("client.contains(1)", "column 17: `contains` needs text, but this is a whole number"),
        ("client.matches(content.type)", "column 16: `matches` takes its pattern in quotes only"),
        ("client.matches('a(')", "column 16: not a pattern: unclosed group"),
        (r"client.matches('\d')", r"column 17: not an escape of CEL; write \\ for a backslash"),
        ("client.matches('(.{999}){99}')", "column 16: this pattern takes too much memory"),
        ("size(1) == 1", "column 6: `size` needs text"),
        ("int(true) == 1", "column 1: `int` needs a number or text"),
        ("int(1, 2) == 1", "column 1: `int` takes one value"),
        ("client == 'alehouse", "column 11: this text never ends"),
        ("client == '''it's''", "column 11: this text never ends"),
        ("client == 'a\nb'", "line 1, column 11: this text never ends"),
        ("x'a' == 'a'", "column 1: `x` and the text after it need an operator between"),
        ("1r'a(' == 'a'", "column 1: `1r` and the text after it"),
        ("(client == 'a'", "column 1: this bracket is never closed"),
        ("client == 'a')", "column 14: `)` closes nothing"),
        ("(client in ['a')", "column 16: `)` closes nothing"),
    ] {
        let fault = fault(text);
        assert!(fault.starts_with(start), "{text}: {fault}");
    }
}

#[test]
fn sizes_are_limited_before_parsing() {
    let nested = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(holds(&nested(16)), Ok(true));
    assert!(fault(&nested(17)).starts_with("column 17: at most 16 brackets may be open"));
    let padded = |n: usize| format!("true{}", " ".repeat(n - 4));
    assert_eq!(holds(&padded(1024)), Ok(true));
    assert!(fault(&padded(1025)).contains("at most 1024 bytes, not 1025"));
    let terms = |n: usize| format!("{} > 1", vec!["1"; n].join(" + "));
    assert_eq!(holds(&terms(64)), Ok(true));
    assert!(fault(&terms(65)).contains("more than 64 operators, dots and brackets"));
    let patterns = |n: usize| vec!["client.matches('a')"; n].join(" && ");
    assert_eq!(holds(&patterns(4)), Ok(true));
    assert!(fault(&patterns(5)).contains("at most 4 patterns"));
    assert_eq!(holds(&vec!["true"; 128].join(" && ")), Ok(true));
}

#[test]
fn the_deepest_that_is_accepted_fits_a_small_stack() {
    let repeated = |part: &str, n: usize, end: &str| format!("{}{end}", part.repeat(n));
    let texts = [
        repeated("!", 64, "true"),
        repeated("-", 63, "1 < 0"),
        repeated("true?true:", 64, "true"),
        repeated("(true?", 16, &format!("true{}", ":true)".repeat(16))),
        repeated("(1-(1<1||", 8, &repeated(")", 16, "")),
        format!("{}1{} == 1", "int(".repeat(16), ") - 1 - 1".repeat(16)),
        format!("{}1 in [1]", "true == (".repeat(16)),
        format!("content{} == 'x'", ".x".repeat(62)),
        format!("client{} == 'x'", "['x']".repeat(15)),
        format!("client{} == 'x'", ".x()".repeat(31)),
        format!("1{}", " in [1]".repeat(31)),
        format!("{}1", "[1,".repeat(16)),
        "1<".repeat(500),
        ".a".repeat(500),
        "x.".repeat(500),
        "true||".repeat(170),
        "[1?".repeat(300),
    ];
    let small = std::thread::Builder::new().stack_size(1024 * 1024);
    let outcomes = small
        .spawn(move || {
            texts.map(|text| Condition::parse(&text).is_ok_and(|c| holds_of_nothing(&c)))
        })
        .unwrap();
    assert!(outcomes.join().unwrap()[..3].iter().all(|it| *it));
}

/// Whether it can be evaluated at all.
fn holds_of_nothing(condition: &Condition) -> bool {
    When::new(condition).holds(&facts(&fields())).is_ok()
}

#[test]
fn what_is_absent_errs_in_a_few_words_unless_the_other_side_decides() {
    let no_fields = BTreeMap::new();
    let absent = Facts {
        r#type: None,
        locale: None,
        site: None,
        author_id: None,
        product_id: None,
        rating: None,
        scores: &|_| None,
        ..facts(&no_fields)
    };
    for (text, outcome) in [
        ("content.rating <= 2", Err("`content.rating` is absent")),
        ("content.fields.title == 'x'", Err("`content.fields.title` is absent")),
        ("content.fields['a b'] == 'x'", Err("`content.fields['a b']` is absent")),
        ("scores.spam > 0.5", Err("`scores.spam` is absent")),
        ("scores['my-rule'] > 0.5", Err("`scores['my-rule']` is absent")),
        ("has(content.rating) || has(scores.spam) || has(content.fields.x)", Ok(false)),
        ("has(content.rating) && content.rating <= 2", Ok(false)),
        ("content.rating <= 2 && has(content.rating)", Ok(false)),
        ("content.rating <= 2 || true", Ok(true)),
        ("true || content.rating <= 2", Ok(true)),
        ("content.rating <= 2 && true", Err("`content.rating` is absent")),
        ("content.rating <= 2 || false", Err("`content.rating` is absent")),
        ("has(content.site) ? content.site == 'x' : true", Ok(true)),
        ("has(client) && has(content.content_id)", Ok(true)),
    ] {
        let found = when(text).holds(&absent);
        assert_eq!(found, outcome.map_err(str::to_owned), "{text}");
    }
}

#[test]
fn a_result_that_does_not_exist_errs_without_quoting_the_content() {
    for (text, reason) in [
        ("1 / 0 == 1", "a division by zero"),
        ("1 % 0 == 1", "a division by zero"),
        ("9223372036854775807 + 1 > 0", "a number is too large"),
        ("-9223372036854775808 / -1 > 0", "a number is too large"),
        ("int(1e30) > 0", "int() got what it cannot turn into a number"),
        ("int(content.fields.title) > 0", "int() got what it cannot turn into a number"),
        ("double(content.fields.title) > 0", "double() got what it cannot turn into a number"),
        ("0.0 / 0.0 < 1", "a result is not a number"),
    ] {
        assert_eq!(holds(text), Err(reason.to_owned()), "{text}");
    }
}

#[test]
fn a_long_text_is_held_against_no_pattern() {
    let condition = when("content.fields.title.matches('b$')");
    let of_length = |length: usize| {
        let title = format!("{}b", "a".repeat(length - 1));
        let fields = [("title".to_owned(), title)].into();
        condition.holds(&facts(&fields))
    };
    assert_eq!(of_length(32 * 1024), Ok(true));
    assert_eq!(of_length(32 * 1024 + 1), Err("a text is too long for `matches`".to_owned()));
}

/// Letters in no order, on which an automaton is never in the same state twice.
fn noise(letters: &str, length: usize) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let mut last: u32 = 1;
    let mut letter = || {
        last = last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        letters[(last >> 16) as usize % letters.len()]
    };
    (0..length).map(|_| letter()).collect()
}

const HARD: &str = "content.fields.title.matches('a[ab]{60}c')";

#[test]
fn each_evaluation_may_do_so_much_with_the_texts_whatever_others_did() {
    let fields = [("title".to_owned(), noise("ab", 20_000))].into();
    let facts = facts(&fields);
    let too_much = Err("the texts are too long for all these patterns and searches".to_owned());
    let light = when("content.fields.title.contains('c') || client == 'alehouse'");
    for text in [HARD, &format!("{HARD} || false"), &format!("{HARD} && {HARD}")] {
        assert_eq!(when(text).holds(&facts), too_much, "{text}");
        assert_eq!(light.holds(&facts), Ok(true));
    }
}

#[test]
fn the_other_side_decides_where_one_takes_too_much() {
    let fields = [("title".to_owned(), noise("ab", 20_000))].into();
    let holds = |text: &str| when(text).holds(&facts(&fields));
    let no = "content.fields.title.contains('fake')";
    let simple = "content.fields.title.matches('^c')";
    for (others, outcome) in [
        ([HARD, "true"], Ok(true)),
        ([HARD, "content.fields.title.contains('ab')"], Ok(true)),
        ([HARD, "content.fields.title.matches('ba')"], Ok(true)),
        ([HARD, no], Err("the texts are too long for all these patterns and searches".to_owned())),
    ] {
        let [one, other] = others;
        assert_eq!(holds(&format!("{one} || {other}")), outcome, "{other}");
        assert_eq!(holds(&format!("{other} || {one}")), outcome, "{other}");
    }
    for other in ["false", no, simple] {
        assert_eq!(holds(&format!("{HARD} && {other}")), Ok(false), "{other}");
        assert_eq!(holds(&format!("{other} && {HARD}")), Ok(false), "{other}");
    }
}

/// Words of kinds as a brand may look for: twelve, or forty.
const WORDS: &str = "beer|wine|vodka|whisky|gin|rum|cider|lager|stout|brandy|sherry|tequila";
const MORE_WORDS: &str = "absinthe|ale|bourbon|champagne|cocktail|cognac|drunk|booze|liquor|\
    spirits|mead|port|pub|tavern|brewery|distillery|hangover|tipsy|schnapps|grappa|ouzo|sake|\
    vermouth|martini|mojito|punch|shandy|toddy";

#[test]
fn lists_of_words_are_found_in_texts_of_every_language() {
    let few = format!(r"content.fields.title.matches(r'(?i)\b({WORDS})s?\b')");
    let many = format!(r"content.fields.title.matches(r'(?i)\b({WORDS}|{MORE_WORDS})s?\b')");
    let [twice, many] = [format!("{few} || {few}"), many].map(|text| when(&text));
    let english = include_str!("../../../../docs/operations.md").replace("port", "");
    let german = english.replace('a', "ä").replace('u', "ü");
    for filler in [&english, &german, "nothing to wind down for ", "хорошее вино "] {
        let filler = filler.repeat(8_000 / filler.len() + 1);
        let filler = &filler[..filler.floor_char_boundary(8_000)];
        for (end, found) in [("", false), (" Beers!", true)] {
            let fields = [("title".to_owned(), format!("{filler}{end}"))].into();
            assert_eq!(twice.holds(&facts(&fields)), Ok(found), "{filler:.20}");
            assert_eq!(many.holds(&facts(&fields)), Ok(found), "{filler:.20}");
        }
    }
}

#[test]
fn searching_a_long_text_for_words_is_counted_too() {
    let fields = [("text".to_owned(), "a".repeat(160_000))].into();
    let holds = |times: usize| {
        let text = vec!["content.fields.text.contains('b')"; times].join(" || ");
        when(&text).holds_within(&facts(&fields), &Work::of(25_000, 0)).ok()
    };
    assert_eq!([holds(1), holds(2), holds(3)], [Some(false), Some(false), None]);
}

#[test]
fn what_patterns_take_is_known() {
    let bytes = |text: &str| Condition::parse(text).unwrap().pattern_bytes();
    let word = bytes("client.matches('beer')");
    assert!(word > 0);
    assert_eq!(bytes("client == 'a'"), 0);
    assert_eq!(bytes("client.matches('beer') || client.matches('beer')"), 2 * word);
}

#[test]
fn the_rules_that_it_looks_at_are_known() {
    let text = "scores.spam > 0.5 || has(scores['my-rule']) && scores.spam < 0.9";
    let condition = Condition::parse(text).unwrap();
    let rules: Vec<_> = condition.rules().iter().map(Name::as_str).collect();
    assert_eq!(rules, ["my-rule", "spam"]);
    assert_eq!(condition.as_str(), text);
    assert!(Condition::parse("client == 'a'").unwrap().rules().is_empty());
}

#[test]
fn a_condition_is_text_in_json() {
    let condition: Condition = serde_json::from_str(r#""client == 'a'""#).unwrap();
    assert_eq!(serde_json::to_string(&condition).unwrap(), r#""client == 'a'""#);
    let fault = serde_json::from_str::<Condition>(r#""clint == 'a'""#).unwrap_err().to_string();
    assert!(fault.starts_with("column 1: `clint` is unknown"), "{fault}");
}
