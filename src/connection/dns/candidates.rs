//! From what the user wrote to the names that are asked for: checked, and completed by the search list.

use std::io;

use crate::config::{LONGEST_NAME, fault_of_host_name};

/// The absolute names (without the dot at the end) to ask for, in turn, until one exists.
///
/// # Errors
/// It is no name that DNS could know; says which and why.
pub fn candidates(name: &str, search: &[String], ndots: usize) -> io::Result<Vec<String>> {
    if let Some(fault) = fault_of_host_name(name) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is no host name: {fault}")));
    }
    if let Some(absolute) = name.strip_suffix('.') {
        return Ok(vec![absolute.to_owned()]);
    }
    let completed = search.iter().map(|domain| format!("{name}.{domain}"));
    // A domain that makes the name too long is one in which it cannot be.
    let mut all: Vec<String> = completed.filter(|name| name.len() <= LONGEST_NAME).collect();
    let first = name.matches('.').count() >= ndots;
    all.insert(if first { 0 } else { all.len() }, name.to_owned());
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, ndots: usize) -> Vec<String> {
        candidates(name, &["a.example".to_owned(), "b.example".to_owned()], ndots).unwrap()
    }

    #[test]
    fn a_short_name_is_completed_first_and_a_long_one_tried_as_it_is_first() {
        assert_eq!(names("redis", 1), ["redis.a.example", "redis.b.example", "redis"]);
        assert_eq!(names("redis.c", 1), ["redis.c", "redis.c.a.example", "redis.c.b.example"]);
        assert_eq!(names("redis.ns.svc", 5), ["redis.ns.svc.a.example", "redis.ns.svc.b.example", "redis.ns.svc"]);
        assert_eq!(names("redis", 0), ["redis", "redis.a.example", "redis.b.example"]);
        assert_eq!(candidates("redis", &[], 1).unwrap(), ["redis"]);
    }

    #[test]
    fn a_dot_at_the_end_makes_a_name_absolute() {
        assert_eq!(names("redis.c.", 5), ["redis.c"]);
        assert_eq!(names("redis.", 1), ["redis"]);
    }

    #[test]
    fn what_cannot_be_a_name_is_refused_in_words() {
        let error = candidates("a..b", &[], 1).unwrap_err();
        assert_eq!(error.to_string(), "it is no host name: a part between two dots is empty");
        let fits = "x".repeat(60);
        assert_eq!(
            candidates(&fits, &[["y".repeat(60).as_str(); 4].join(".")], 1).unwrap(),
            [fits],
            "too long together"
        );
    }
}
