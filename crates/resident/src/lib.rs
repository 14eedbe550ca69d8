//! Memory that only the start of a program needed, given back.
//!
//! Reading a configuration and building what it says touches most of a program's code, and leaves
//! holes in the heap. None of it is wanted again before the next reload, yet all of it counts as
//! memory of the process until the machine runs short.

mod map;

use map::Mapping;

/// Gives back what can be given back: free pages of the heap, and the program's code and constants,
/// which are read again from its file (as a rule still in the page cache) when they are needed.
///
/// Takes about a millisecond. Where the system does not allow it nothing happens.
pub fn give_back() {
    trim_heap();
    let Ok(text) = std::fs::read_to_string("/proc/self/smaps") else {
        return;
    };
    for mapping in Mapping::of_program(&text, give_back as *const () as usize) {
        drop_pages(&mapping);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim_heap() {
    // SAFETY: the function takes a number and returns one; it is safe to call from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim_heap() {}

#[cfg(target_os = "linux")]
fn drop_pages(mapping: &Mapping<'_>) {
    let start = std::ptr::with_exposed_provenance_mut(mapping.start);
    // SAFETY: the pages are those of the program's file, which stays mapped as long as the program
    // runs; none was ever written, and none can be. The next access finds the same bytes.
    unsafe {
        libc::madvise(start, mapping.len, libc::MADV_DONTNEED);
    }
}

#[cfg(not(target_os = "linux"))]
fn drop_pages(_: &Mapping<'_>) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn of_files() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find(|line| line.starts_with("RssFile:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|kb| kb.parse().ok()).expect("RssFile")
    }

    #[test]
    fn pages_of_files_are_given_back_and_the_program_goes_on() {
        let before = of_files();
        give_back();
        let after = of_files();
        assert!(after < before, "{before} KiB before, {after} KiB after");
        assert_eq!(
            format!("{:?}", (1.5_f64, "still here")),
            "(1.5, \"still here\")"
        );
    }
}
