// What a notebook saves of the widget: it asks the kernel for the program of the page, and shows the still picture meanwhile.

const WAIT = 4000; // ms between two requests; a busy kernel may answer late

const programs = (globalThis[Symbol.for("crucible_nb.programs")] ??= new Map()); // one of each for all dashboards of a page
const asking = (globalThis[Symbol.for("crucible_nb.asking")] ??= new Set()); // each dashboard has a module of its own

function text(buffer) {
  return new TextDecoder().decode(buffer);
}

async function start(name, [code, style]) {
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const { default: program } = await import(/* webpackIgnore: true */ url);
  URL.revokeObjectURL(url);
  programs.set(name, { program, style: text(style) });
}

/** The program; another dashboard of the page may have asked for it already. */
function load(model, closed) {
  const name = model.get("_code");
  return new Promise((resolve) => {
    let timer;
    const finish = () => {
      if (!programs.has(name)) return false;
      clearTimeout(timer);
      asking.delete(model);
      model.off("msg:custom", take);
      resolve(programs.get(name));
      return true;
    };
    const take = async (message, buffers) => {
      if (message.kind !== "code" || programs.has(name)) return;
      await start(name, buffers);
      finish();
    };
    const request = () => {
      if (closed() || finish()) return;
      if (!asking.size || asking.has(model)) {
        asking.add(model);
        try {
          model.send({ kind: "code" });
        } catch {
          // no kernel: the still picture stays
        }
      }
      timer = setTimeout(request, asking.has(model) ? WAIT : WAIT / 8);
    };
    model.on("msg:custom", take);
    request();
    setTimeout(() => asking.clear(), 4 * WAIT); // the one that asked may have lost its kernel
  });
}

/** Add the stylesheet to the page, or to the shadow root that holds the element. */
function dress(el, name, style) {
  const root = el.getRootNode();
  const place = root instanceof ShadowRoot ? root : document.head;
  if (place.querySelector(`style[data-crucible="${name}"]`)) return;
  const made = document.createElement("style");
  made.dataset.crucible = name;
  made.textContent = style;
  place.append(made);
}

export default () => {
  let loaded;
  let ended = false;
  return {
    initialize({ model }) {
      let undo;
      loaded = load(model, () => ended).then(({ program, style }) => {
        const widget = program();
        undo = widget.initialize({ model });
        return { widget, style };
      });
      return () => {
        ended = true;
        undo?.();
      };
    },

    render({ model, el }) {
      let close;
      let closed = false;
      const still = document.createElement("div");
      still.innerHTML = model.get("_still"); // made by the kernel of escaped texts, without scripts
      el.append(still);
      loaded.then(({ widget, style }) => {
        if (closed) return;
        still.remove();
        dress(el, model.get("_code"), style);
        close = widget.render({ model, el });
      });
      return () => {
        closed = true;
        close?.();
      };
    },
  };
};
