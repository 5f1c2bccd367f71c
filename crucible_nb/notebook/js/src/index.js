// The widget: anywidget calls this once per model; one store with any number of views.
import { Store } from "./store.js";
import { View } from "./view.js";

export default () => {
  /** @type {Store} */
  let store;
  return {
    initialize({ model }) {
      store = new Store((message) => model.send(message));
      const take = (message, buffers) => store.take(message, buffers ?? []);
      model.on("msg:custom", take);
      return () => model.off("msg:custom", take);
    },

    render({ el }) {
      const view = new View(store, el);
      return () => view.close();
    },
  };
};
