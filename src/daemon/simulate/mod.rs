//! `supervice --simulate`: a configuration tried on a simulated clock, before it is used.

mod date;
mod options;
mod report;

use std::io::{self, Write};

use super::args::{Args, SimulateOptions};
use super::{FAILURE, USAGE, fail, load, print};
use crate::core::simulation::simulate;
use report::{Json, Text};

/// Simulates a daemon with the configuration, and prints what happens to its programs.
pub(super) fn main(args: &Args, options: &SimulateOptions, json: bool) -> u8 {
    let (loaded, _) = match load(args) {
        Ok(loaded) => loaded,
        Err(message) => return fail(FAILURE, &message),
    };
    let plan = match options.plan(&loaded.config, args.load_options()) {
        Ok((plan, warnings)) => {
            for warning in warnings {
                let _ = writeln!(io::stderr(), "supervice: warning: {warning}");
            }
            plan
        }
        Err(options::Fault::Usage(message)) => return fail(USAGE, &message),
        Err(options::Fault::File(message)) => return fail(FAILURE, &message),
    };
    let (text, outcome) = if json {
        let mut json = Json::new(&plan);
        let outcome = simulate(loaded.config, plan, &mut |at, happening| json.add(at, happening));
        (json.end(&outcome), outcome)
    } else {
        let mut text = Text::new(&loaded.config, &plan);
        let outcome = simulate(loaded.config, plan, &mut |at, happening| text.add(at, happening));
        (text.end(&outcome), outcome)
    };
    let code = print(&text);
    match report::trouble(&outcome) {
        Some(trouble) => fail(FAILURE, &trouble),
        None => code,
    }
}
