/**
 * Answers that may be held for seconds are made outside of the chain of middleware. Thousands of them wait at
 * once, and each would keep every frame of the chain alive: more for the garbage collector to move about
 * than all else that the server has.
 *
 * @module
 */
type Make = () => Promise<Response>;

export interface HeldAnswers {
  /**
   * Has `make` called once the chain is done with `empty`, and its response sent with the headers of both.
   * `make` should hold on to nothing of the chain. What the metrics say of the request ends before it.
   */
  put(empty: Response, make: Make): void;
  /** The response that was put for this one, or itself. */
  settle(response: Response): Response | Promise<Response>;
}

export function createHeldAnswers(): HeldAnswers {
  const held = new WeakMap<Response, Make>();

  async function finish(make: Make, headers: Headers): Promise<Response> {
    const response = await make();
    for (const [name, value] of headers) {
      if (!response.headers.has(name)) response.headers.set(name, value);
    }
    return response;
  }

  return {
    put: (empty, make) => void held.set(empty, make),
    settle(response) {
      const make = held.get(response);
      return make ? finish(make, response.headers) : response;
    },
  };
}
