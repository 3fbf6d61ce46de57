//! Transfer matrices in plain text.

use struthio::paper::{Claim, HalfRow, PaperMatrix, PaperMatrixRow, TransferTables};
use struthio::transfer::{Rate, Row, Size, SizedRow, Study};

use crate::printer::table;

/// Tables 2 to 4 and the claims.
pub fn tables(tables: &TransferTables) -> String {
    use struthio::paper::{PAPER_TABLE_2, PAPER_TABLE_4};
    [
        "Table 2: error (%) of the networks in the columns on what was made for those in the rows.\n\
         Sizes are RMS over pixels; every perturbation is shown as short as it was found, rescaled to\n\
         the paper's distortion, and amplified to 0.1. From training images, as in the paper"
            .to_owned(),
        matrix(&tables.table2.train, Some(&PAPER_TABLE_2)),
        "The same from test images".into(),
        matrix(&tables.table2.test, None),
        "Table 3: networks trained on disjoint halves of the training images".into(),
        halves(&tables.table3),
        "Table 4: as Table 2, for these networks. From training images, as in the paper".into(),
        matrix(&tables.table4.train, Some(&PAPER_TABLE_4)),
        "The same from test images".into(),
        matrix(&tables.table4.test, None),
        "What the paper claims, and what came out; 95 % intervals in brackets".into(),
        claims(&tables.claims),
    ]
    .join("\n\n")
}

/// Errors of all rows in all sizes, each beside the paper's where it has one.
pub fn matrix(study: &Study, paper: Option<&PaperMatrix>) -> String {
    let header: Vec<&str> =
        ["made for", "RMS"].into_iter().chain(study.columns.iter().map(String::as_str)).collect();
    let mut lines = Vec::new();
    for row in &study.rows {
        for (i, sized) in row.sizes.iter().enumerate() {
            let name = if i == 0 { row.made_for.as_str() } else { "" };
            let papers = paper.and_then(|paper| paper.row(published(paper, row, sized)?));
            let errors: Vec<&Rate> = sized.cells.iter().map(|cell| &cell.error).collect();
            lines.push(line(name, size(row, sized), &errors, papers));
        }
    }
    lines.push(line("unchanged", String::new(), &study.unchanged.iter().collect::<Vec<_>>(), None));
    for noise in &study.noise {
        let papers = paper.and_then(|paper| paper.row(PaperMatrixRow::Noise(noise.sigma)));
        let errors: Vec<&Rate> = noise.cells.iter().map(|cell| &cell.error).collect();
        let name = format!("noise, σ = {}", noise.sigma);
        lines.push(line(&name, rms(noise.rms.mean), &errors, papers));
    }
    let table = table(&header, &lines);
    if paper.is_some() { format!("{table}\nin brackets: the paper") } else { table }
}

/// The row of the paper that `sized` is to be compared with.
fn published(paper: &PaperMatrix, row: &Row, sized: &SizedRow) -> Option<PaperMatrixRow> {
    let Size::Rms(rms) = sized.size else { return None };
    let rows = paper.rows.iter().map(|row| row.0);
    let is_this = |published: &PaperMatrixRow| match *published {
        PaperMatrixRow::MadeFor(name, size) | PaperMatrixRow::Amplified(name, size) => {
            (name, size) == (row.made_for.as_str(), rms)
        }
        PaperMatrixRow::Noise(_) => false,
    };
    rows.into_iter().find(is_this)
}

fn size(row: &Row, sized: &SizedRow) -> String {
    match sized.size {
        _ if row.images == 0 => "no images".to_owned(),
        Size::Minimal => format!("min {}", rms(sized.rms.mean)),
        Size::Rms(asked) if sized.rms.short > 0 => format!("{} of {asked}", rms(sized.rms.mean)),
        Size::Rms(_) => rms(sized.rms.mean),
    }
}

fn rms(value: f64) -> String {
    if value < 1e-3 { format!("{value:.2e}") } else { format!("{value:.4}") }
}

fn line(name: &str, size: String, errors: &[&Rate], papers: Option<&[f64]>) -> Vec<String> {
    let error = |(column, error): (usize, &&Rate)| {
        let ours = error.rate.map_or_else(|| "—".to_owned(), |rate| format!("{:.1}", 100.0 * rate));
        let papers = papers.and_then(|papers| papers.get(column));
        papers.map_or_else(|| ours.clone(), |papers| format!("{ours} ({papers})"))
    };
    [name.to_owned(), size].into_iter().chain(errors.iter().enumerate().map(error)).collect()
}

fn halves(rows: &[HalfRow]) -> String {
    let header = [
        "network",
        "P1 error %",
        "paper",
        "P2 error %",
        "paper",
        "test error %",
        "paper",
        "distortion",
        "paper",
    ];
    let line = |row: &HalfRow| {
        let (ours, paper) = (&row.result, &row.paper);
        let percent = |share: f64| format!("{:.2}", 100.0 * share);
        vec![
            format!("{} (P{})", row.network, row.half),
            percent(ours.p1_error),
            paper.p1_error.to_string(),
            percent(ours.p2_error),
            paper.p2_error.to_string(),
            percent(ours.test_error),
            paper.test_error.to_string(),
            ours.attack.rms.as_ref().map_or_else(|| "—".to_owned(), |rms| format!("{:.4}", rms.mean)),
            paper.distortion.to_string(),
        ]
    };
    table(&header, &rows.iter().map(line).collect::<Vec<_>>())
}

fn claims(claims: &[Claim]) -> String {
    let line = |claim: &Claim| {
        format!(
            "({}) {:<9}  {}\n                {}",
            claim.id,
            claim.verdict.as_str(),
            claim.claim,
            claim.figures
        )
    };
    claims.iter().map(line).collect::<Vec<_>>().join("\n")
}
