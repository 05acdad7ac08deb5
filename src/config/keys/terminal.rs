//! The key of programs on a terminal.

use crate::config::diagnostic::Fault;
use crate::config::fields::Given;
use crate::config::values::boolean;
use crate::models::ProgramConfig;

pub(super) fn tty(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.tty = boolean(&given.text()?)?;
    if program.tty && cfg!(not(feature = "attach")) {
        return Err(Fault::new("this supervice was built without terminals", "build it with the feature attach"));
    }
    Ok(())
}
