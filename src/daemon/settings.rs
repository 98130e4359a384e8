//! From options, environment and file to checked settings, and what is said about them on the way.

use super::exit::{Exit, SETTINGS};
use super::options::Options;
use chronikd::config::{BrokerConfig, Problem, Settings};
use std::env;
use std::fs;
use std::path::Path;

/// All that somebody has set.
pub(crate) fn gather(options: &Options) -> Result<Settings, Exit> {
    let mut settings = options.settings.clone();
    let variables = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    settings.add_environment(variables);
    if let Some(file) = &options.config_file {
        let path = file.display().to_string();
        let text = fs::read_to_string(file)
            .map_err(|error| Exit::io(SETTINGS, format!("cannot read {path}"), &error))?;
        settings
            .add_file(&path, &text)
            .map_err(|problem| Exit::new(SETTINGS, problem.text))?;
    }
    Ok(settings)
}

/// The settings as the broker obeys them. What does not keep it from starting is logged.
pub(crate) fn check(settings: Settings) -> Result<BrokerConfig, Exit> {
    let problems = settings.problems();
    BrokerConfig::new(settings)
        .inspect(|_| tell(&problems))
        .map_err(|errors| {
            tell(&errors);
            refusal(errors.len())
        })
}

fn tell(problems: &[Problem]) {
    for problem in problems {
        log::log!(problem.level, "{}", problem.text);
    }
}

/// Warns of what is legal and surely not meant.
pub(crate) fn warn_of_oddities(config: &BrokerConfig, data_dir: &Path) {
    for oddity in config.oddities(data_dir) {
        log::warn!("{oddity}");
    }
}

/// The end of a start with so many wrong settings.
pub(crate) fn refusal(count: usize) -> Exit {
    let what = match count {
        1 => "one setting is wrong".into(),
        _ => format!("{count} settings are wrong"),
    };
    Exit::new(SETTINGS, what)
}
