// Draws the figures of executed notebooks, in the colours of the page.
const draw = (holder) => {
  const figure = JSON.parse(holder.querySelector("script").textContent);
  const target = document.createElement("div");
  holder.append(target);
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--pst-color-text-base").trim();
    const line = style.getPropertyValue("--pst-color-border").trim();
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line };
    const layout = { paper_bgcolor: "transparent", plot_bgcolor: "transparent", "font.color": text };
    for (const name of Object.keys(figure.layout)) {
      if (/^[xy]axis\d*$/.test(name)) {
        for (const [key, value] of Object.entries(axis)) layout[`${name}.${key}`] = value;
      }
    }
    return layout;
  };
  Plotly.newPlot(target, figure.data, { ...figure.layout, autosize: true, width: undefined }, {
    responsive: true,
    displaylogo: false,
  }).then(() => {
    const recolour = () => Plotly.relayout(target, colours());
    recolour();
    new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  });
};
document.querySelectorAll(".plotly-figure").forEach(draw);
