//! The option `min_replicas`: a number, or an array of number and time.

use std::time::Duration;

use super::error::ConfigurationError;
use super::names;
use super::numbers;
use super::policy::Quorum;
use super::setting::Setting;

const ACCEPTED: &str = "a whole number from 0 to 100, or an array with the keys count, timeout";
const KEYS: &[&str] = &["count", "timeout"];
/// Nobody has more, and who asks for more than there are waits in vain with every write.
const MOST: u32 = 100;
/// A replica of the same region acknowledges within a few milliseconds.
const TIMEOUT: Duration = Duration::from_millis(100);

impl Quorum {
    /// Reads the option; 0 replicas mean that none are waited for. What an array leaves out stays as it was.
    pub(super) fn read(
        option: &str,
        value: &Setting,
        before: Option<Quorum>,
    ) -> Result<Option<Quorum>, ConfigurationError> {
        let before = before.unwrap_or(Quorum { count: 1, timeout: TIMEOUT });
        let mut quorum = before;
        match value.entries() {
            None => match numbers::whole_between(option, value, 0, MOST) {
                Ok(count) => quorum.count = count,
                Err(_) => return Err(ConfigurationError::about(option, value, ACCEPTED)),
            },
            Some(entries) => {
                for (key, value) in entries.iter().filter(|(_, value)| !value.is_absent()) {
                    let path = format!("{option}.{key}");
                    match key.as_str() {
                        "count" => quorum.count = numbers::whole_between(&path, value, 0, MOST)?,
                        "timeout" => quorum.timeout = numbers::positive_seconds(&path, value)?,
                        _ => return Err(names::unknown(&path, key, value, &[KEYS])),
                    }
                }
            }
        }
        Ok(Some(quorum).filter(|quorum| quorum.count > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(entries: &[(&str, Setting)]) -> Setting {
        Setting::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }

    fn read(value: &Setting) -> Result<Option<Quorum>, ConfigurationError> {
        Quorum::read("min_replicas", value, None)
    }

    #[test]
    fn a_number_is_the_number_of_replicas() {
        let one = Quorum { count: 1, timeout: Duration::from_millis(100) };
        for value in [Setting::Int(1), Setting::Text("1".into()), Setting::Float(1.0)] {
            assert_eq!(read(&value), Ok(Some(one)));
        }
        assert_eq!(read(&Setting::Int(0)), Ok(None));
    }

    #[test]
    fn an_array_gives_number_and_time_and_leaves_the_rest() {
        let half = array(&[("timeout", Setting::Float(0.5))]);
        assert_eq!(read(&half), Ok(Some(Quorum { count: 1, timeout: Duration::from_millis(500) })));
        let two = array(&[("count", Setting::Int(2)), ("timeout", Setting::Null)]);
        let before = Some(Quorum { count: 1, timeout: Duration::from_secs(1) });
        let expected = Some(Quorum { count: 2, timeout: Duration::from_secs(1) });
        assert_eq!(Quorum::read("min_replicas", &two, before), Ok(expected));
        assert_eq!(read(&array(&[("count", Setting::Int(0))])), Ok(None));
        assert_eq!(read(&Setting::List(vec![])).unwrap().unwrap().count, 1);
    }

    #[test]
    fn errors_name_the_key() {
        let refused = |value: Setting| read(&value).unwrap_err();
        assert_eq!(refused(Setting::Bool(true)).accepted(), ACCEPTED);
        assert_eq!(refused(Setting::Int(-1)).accepted(), ACCEPTED);
        assert_eq!(refused(array(&[("count", Setting::Int(101))])).option(), "min_replicas.count");
        assert_eq!(refused(array(&[("timeout", Setting::Int(0))])).option(), "min_replicas.timeout");
        let error = refused(array(&[("counts", Setting::Int(1))]));
        assert_eq!(error.accepted(), "unknown option; did you mean `count`?");
    }
}
