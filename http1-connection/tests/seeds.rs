//! Every seed of the fuzz target, taken through the same code without a fuzzer.

#[path = "../../fuzz/src/http_answer.rs"]
mod http_answer;

#[test]
fn no_answer_makes_the_connection_panic_nor_depends_on_how_it_comes_in() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/http_answer");
    let seeds = std::fs::read_dir(folder).unwrap().map(|seed| seed.unwrap().path());
    let seeds: Vec<_> = seeds.collect();
    assert!(seeds.len() >= 10, "only {} seeds were found", seeds.len());
    for seed in seeds {
        http_answer::http_answer(&std::fs::read(seed).unwrap());
    }
}
