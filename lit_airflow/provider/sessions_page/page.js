"use strict";
// Airflow keeps the theme that its user chose where pages of one origin share it; without a choice, the system's holds.
const root = document.documentElement;
const follow = () => {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  else delete root.dataset.theme;
};
follow();
addEventListener("storage", follow);

// Airflow frames this page and forbids it to lead the whole window elsewhere; a link in Airflow's own document may.
addEventListener("click", (event) => {
  const link = event.target.closest("a[target=_top]");
  if (!link || window.parent === window || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const outside = parent.document.createElement("a");
  outside.href = link.href;
  parent.document.body.append(outside);
  outside.click();
  outside.remove();
});
