"use strict";
// Theme: the reader's choice on this page, else that of Airflow, else that of the system (in page.css).
const root = document.documentElement;
const stored = localStorage.getItem("voice-agents-theme") || localStorage.getItem("theme");
if (stored === "dark" || stored === "light") root.dataset.theme = stored;

document.addEventListener("DOMContentLoaded", () => {
  const isDark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const toggle = document.getElementById("theme");
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("voice-agents-theme", root.dataset.theme);
  });

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "copied";
      } catch {
        button.textContent = "press Ctrl+C";
        getSelection().selectAllChildren(button.previousElementSibling);
      }
    });
  }

  for (const select of document.querySelectorAll("select")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }

  // Airflow shows this page in a frame that must not open its pages itself, so Airflow's own document does it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-airflow]");
    if (!link || parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const outside = parent.document.createElement("a");
    outside.href = link.href;
    outside.click();
  });
});
