//! The mappings of a process, as the kernel lists them.

/// A mapping of a process. Source: proc(5), `/proc/pid/smaps`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping<'a> {
    pub(crate) start: usize,
    pub(crate) len: usize,
    writable: bool,
    file: &'a str,
    /// KiB that are the process's own.
    own: usize,
}

impl<'a> Mapping<'a> {
    /// Those of the mappings in a listing that show the program at an address as its file has it:
    /// of the same file, not writable, and without a page of the process's own.
    pub(crate) fn of_program(text: &'a str, address: usize) -> impl Iterator<Item = Self> {
        let file = Self::all(text)
            .find(|mapping| (mapping.start..mapping.start + mapping.len).contains(&address))
            .map(|mapping| mapping.file)
            .filter(|file| file.starts_with('/'));
        Self::all(text)
            .filter(move |mapping| Some(mapping.file) == file)
            .filter(|mapping| !mapping.writable && mapping.own == 0)
    }

    /// All mappings of a listing. What can't be read is left out.
    fn all(text: &'a str) -> impl Iterator<Item = Self> {
        let mut lines = text.lines().peekable();
        std::iter::from_fn(move || {
            let mut mapping = loop {
                if let Some(mapping) = Self::head(lines.next()?) {
                    break mapping;
                }
            };
            while let Some(line) = lines.next_if(|line| Self::head(line).is_none()) {
                if let Some(("Anonymous" | "Swap", value)) = line.split_once(':') {
                    let number = value.trim().trim_end_matches(" kB").parse();
                    mapping.own = mapping.own.saturating_add(number.unwrap_or(1));
                }
            }
            Some(mapping)
        })
    }

    /// `55f50a46c000-55f50acf5000 r-xp 002d4000 fe:00 10103443 /usr/bin/gost`
    fn head(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let rights = words.next()?;
        let file = words.nth(3).unwrap_or_default();
        Some(Self {
            start,
            len: end.checked_sub(start)?,
            writable: rights.contains('w'),
            file,
            own: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
55f5-55f7 r-xp 002d4000 fe:00 10103443                   /usr/bin/gost
Size:               8740 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
1000-3000 r--p 00b5c000 fe:00 10103443 /usr/bin/gost
Anonymous:           384 kB
4000-5000 rw-p 00000000 00:00 0 [heap]
5000-6000 rw-s 00000000 fe:00 7 /tmp/file
garbage
7000-6000 r--p 00000000 fe:00 7 /end/before/start
8000-9000 r-xp 00000000 00:00 0                          [vdso]
9000-a000 r--p 00000000 fe:00 7 /lib/libc.so.6
Anonymous: what
a000-b000 r--p 00000000 fe:00 7 /lib/libm.so.6";

    #[test]
    fn only_pages_that_the_programs_file_has_too_are_its() {
        let found = |address| -> Vec<_> {
            Mapping::of_program(LISTING, address)
                .map(|mapping| (mapping.start, mapping.len))
                .collect()
        };
        assert_eq!(found(0x55f5), [(0x55f5, 2)]);
        assert_eq!(
            found(0x1fff),
            [(0x55f5, 2)],
            "another part of the same file"
        );
        assert_eq!(found(0xa000), [(0xa000, 0x1000)]);
        for nowhere in [0, 0x4000, 0x6500, 0x8000, 0x9000, usize::MAX] {
            assert_eq!(found(nowhere), [], "{nowhere:x}");
        }
    }

    #[test]
    fn no_listing_makes_a_panic() {
        for end in 0..LISTING.len() {
            for part in [&LISTING[..end], &LISTING[end..]] {
                let _ = Mapping::of_program(part, 0x1000).count();
            }
        }
        let _ = Mapping::of_program(
            "ffffffffffffffff-0 r-xp 0 0 0 /a\n0-ffffffffffffffff r-xp 0 0 0 /a",
            1,
        )
        .count();
    }
}
