//! The part of the web page that shows one program.

use crate::browser::Browser;
use crate::page::{row, serve};

/// A bookmark of one program: its row is marked, and how long ago all was is true as long as one looks.
#[test]
fn a_page_that_begins_with_a_program_marks_it_and_its_ages_grow() {
    let Some(browser) = Browser::start(&[]) else { return };
    let (daemon, page) = serve(
        "[program:bad]\ncommand = sh -c 'exit 3'\nstartsecs = 60\nstartretries = 0\n\
         [program:other]\ncommand = sleep 1000\n",
    );
    daemon.wait_state("bad", "FATAL");
    browser.open(&format!("{page}#/program/bad"));
    browser.wait(&format!("{}?.ariaCurrent === 'true' && {}.ariaCurrent === null", row("bad"), row("other")));
    let lead = "document.querySelector('.lead')?.textContent";
    browser.wait(&format!("{lead}?.startsWith('bad has been FATAL for ')"));
    let first = browser.text(lead);
    browser.wait(&format!("{lead} !== {first:?}"));
    browser.click("a.name[href='#/program/other']");
    browser.wait(&format!("{}.ariaCurrent === 'true' && {}.ariaCurrent === null", row("other"), row("bad")));
    browser.assert_content();
    daemon.terminate();
}
