//! Counting that doesn't depend on how much fits into memory.

use std::collections::BTreeMap;

use super::*;

fn fingerprint(number: u64) -> Fingerprint {
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Fingerprint(spread.to_be_bytes())
}

fn entry(number: u64) -> Entry {
    let (group, differs) = ((number % 7 % 3) as u32, number.is_multiple_of(1_001));
    Entry { request: fingerprint(number % 2_000), group, differs }
}

/// What a ledger of unlimited memory would count.
fn expected(entries: impl Iterator<Item = Entry>) -> (Distinct, Vec<Distinct>) {
    let (mut whole, mut groups) = (BTreeMap::new(), vec![BTreeMap::new(); 3]);
    for Entry { request, group, differs } in entries {
        *whole.entry(request).or_insert(false) |= differs;
        *groups[group as usize].entry(request).or_insert(false) |= differs;
    }
    let distinct = |requests: &BTreeMap<Fingerprint, bool>| Distinct {
        requests: requests.len() as u64,
        mismatches: requests.values().filter(|differs| **differs).count() as u64,
    };
    (distinct(&whole), groups.iter().map(distinct).collect())
}

#[test]
fn any_memory_counts_the_same() {
    let (whole, groups) = expected((0..20_000).map(entry));
    for capacity in [10, 300, 5_000, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("distinct");
        let mut ledger = Ledger::at_level(path.clone(), 0, capacity);
        (0..20_000).for_each(|number| ledger.add(entry(number)).unwrap());
        assert_eq!(path.exists(), capacity < 10_000, "{capacity}");
        let totals = ledger.count(3).unwrap();
        assert_eq!((totals.whole, &totals.groups), (whole, &groups), "{capacity}");
        assert!(totals.repeated.is_some() && !path.exists());
    }
}

#[test]
fn what_is_kept_holds_each_entry_once_however_often_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("distinct");
    let mut ledger = Ledger::at_level(path.clone(), 0, 300);
    for _ in 0..5 {
        (0..1_000).for_each(|number| ledger.add(entry(number)).unwrap());
    }
    let mut once = Vec::new();
    let give = |entry: Entry| {
        once.push((entry.request, entry.group));
        Ok(())
    };
    ledger.each(give).unwrap();
    ledger.keep().unwrap();
    let sizes = (0..64).map(|part| fs::metadata(part_of(&path, part)).unwrap().len());
    assert_eq!(sizes.sum::<u64>(), (once.len() * ENTRY_BYTES) as u64);
    let all = once.len();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), all);
    assert_eq!(ledger.count(3).unwrap().whole, expected((0..1_000).map(entry)).0);
}

/// Set where no file can get larger than 512 or 1,024 bytes, as if the disk was full.
const FULL: &str = "PARITY_TEST_DISK_IS_FULL";

#[test]
fn a_full_disk_keeps_no_half_of_an_entry() {
    let name = "tally::ledger::tests::a_full_disk_keeps_no_half_of_an_entry";
    if std::env::var_os(FULL).is_none() {
        let mut itself = std::process::Command::new("sh");
        itself.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"]);
        itself.arg(std::env::current_exe().unwrap()).args(["--exact", name]).env(FULL, "yes");
        let output = itself.output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("distinct");
    let mut ledger = Ledger::at_level(path.clone(), 0, 1_000);
    let mut add = |number| {
        let request = fingerprint(number);
        ledger.add(Entry { request, group: 0, differs: false })
    };
    let accepted = (0..100_000).filter(|number| add(*number).is_ok()).count();
    assert!((1_000..100_000).contains(&accepted), "{accepted}");
    Ledger::read(&path, |entry| {
        assert_eq!(entry.group, 0);
        Ok(())
    })
    .unwrap();
}

#[test]
fn one_request_of_more_groups_than_fit_is_counted_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::at_level(folder.path().join("distinct"), 0, 4);
    for group in 0..100 {
        ledger.add(Entry { request: fingerprint(1), group, differs: group == 99 }).unwrap();
    }
    let totals = ledger.count(100).unwrap();
    assert_eq!(totals.whole, Distinct { requests: 1, mismatches: 1 });
    assert_eq!(totals.groups.iter().map(|group| group.mismatches).sum::<u64>(), 1);
    assert_eq!(totals.repeated, None);
}

#[test]
fn a_request_that_comes_twice_is_named_wherever_the_two_meet() {
    for capacity in [3, 1_000] {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::at_level(folder.path().join("distinct"), 0, capacity);
        for number in (0..100).chain([42]) {
            let request = fingerprint(number);
            ledger.add(Entry { request, group: 0, differs: false }).unwrap();
        }
        assert_eq!(ledger.count(1).unwrap().repeated, Some(fingerprint(42)));
    }
}

#[test]
fn what_is_kept_can_be_read_and_half_an_entry_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("distinct");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("63"), "left by an interrupted run").unwrap();
    let mut ledger = Ledger::at_level(path.clone(), 0, 10);
    (0..50).for_each(|number| ledger.add(entry(number)).unwrap());
    ledger.keep().unwrap();
    drop(ledger);
    let mut found = Vec::new();
    let give = |entry: Entry| {
        found.push(entry);
        Ok(())
    };
    Ledger::read(&path, give).unwrap();
    assert_eq!(expected(found.into_iter()), expected((0..50).map(entry)));
    fs::write(path.join("00"), "half").unwrap();
    let error = Ledger::read(&path, |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("00`: the file ends within an entry"), "{error}");
}
