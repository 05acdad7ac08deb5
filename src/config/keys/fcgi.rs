//! Readers of the keys that an `[fcgi-program:NAME]` alone has.

use crate::config::diagnostic::Fault;
use crate::config::fields::Given;
use crate::config::values::number;
use crate::models::{FcgiAddress, ProgramConfig};

pub(super) fn fcgi_address(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    let remedy = "write tcp://HOST:PORT, or unix:///PATH with the whole path of the file";
    let address = FcgiAddress::parse(&text).ok_or_else(|| Fault::new("not the address of a socket", remedy))?;
    program.fcgi.address = Some(address);
    Ok(())
}

pub(super) fn fcgi_backlog(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    if let Some(text) = given.filled()? {
        program.fcgi.backlog = u16::try_from(number(&text, 1, u32::from(u16::MAX))?).ok();
    }
    Ok(())
}

pub(super) fn fcgi_owner(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let Some(owner) = given.filled()? else { return Ok(()) };
    given.checks.owner(&owner)?;
    program.fcgi.owner = Some(owner);
    Ok(())
}
