//! The figures as a picture: one panel a measure, one bar a peer. Shorter is better everywhere.

use std::fmt::Write;

use crate::peers::OURS;
use crate::report::{Block, Results, Setting, figure};

const COLUMNS: usize = 2;
const PANEL_WIDTH: usize = 460;
const NAME_WIDTH: usize = 100;
const BAR_WIDTH: usize = 260;
const ROW: usize = 18;
const TITLE: usize = 30;
const GAP: usize = 14;

/// Draws the medians.
pub fn draw(results: &Results, setting: &Setting) -> String {
    let mut body = String::new();
    let mut top = 50;
    for row in results.blocks.chunks(COLUMNS) {
        for (column, block) in row.iter().enumerate() {
            panel(&mut body, block, GAP + column * PANEL_WIDTH, top);
        }
        top += row.iter().map(height).max().unwrap_or(0);
    }
    let width = COLUMNS * PANEL_WIDTH + GAP;
    let caption = format!(
        "{}, Linux {}, {} CPUs, medians of {} rounds; shorter is better",
        setting.date, setting.kernel, setting.cpus, setting.rounds
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{top}\" viewBox=\"0 0 {width} {top}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{GAP}\" y=\"22\" font-size=\"15\" font-weight=\"bold\">Supervisors compared</text>\n\
         <text x=\"{GAP}\" y=\"39\" fill=\"#666\">{}</text>\n{body}</svg>\n",
        escape(&caption)
    )
}

fn height(block: &Block) -> usize {
    TITLE + block.series.len() * ROW + GAP
}

fn panel(body: &mut String, block: &Block, left: usize, top: usize) {
    let longest = block.series.iter().map(|series| series.median()).fold(0.0, f64::max);
    let _ = writeln!(
        body,
        "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{}</text>",
        top + TITLE - 10,
        escape(&block.measure.heading())
    );
    for (index, series) in block.series.iter().enumerate() {
        let y = top + TITLE + index * ROW;
        // A pixel at least: an absent bar would look like an absent figure.
        let bar = if longest > 0.0 { (series.median() / longest * BAR_WIDTH as f64).max(1.0) } else { 1.0 };
        let color = if series.peer == OURS { "#2a7" } else { "#9ab" };
        let x = left + NAME_WIDTH;
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{x}\" y=\"{y}\" width=\"{bar:.1}\" \
             height=\"{}\" fill=\"{color}\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
            x - 6,
            y + 11,
            escape(series.peer),
            ROW - 5,
            x as f64 + bar + 5.0,
            y + 11,
            figure(series.median()),
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
