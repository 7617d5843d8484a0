/* There is one handle. While it is being closed no further connection can be accepted with it; but
 * then libuv offers none either, since it waits for the one it has offered. */
#include "server/shell/refusal.h"

static void on_closed(uv_handle_t *handle)
{
    struct ga_refusal *refusal = handle->data;
    refusal->is_busy = false;
    if (!refusal->has_one_more)
        return;
    refusal->has_one_more = false;
    if (!uv_is_closing((uv_handle_t *)refusal->listening))
        ga_refusal_next(refusal, refusal->listening);
}

void ga_refusal_next(struct ga_refusal *refusal, uv_stream_t *listening)
{
    refusal->listening = listening;
    if (refusal->is_busy) {
        refusal->has_one_more = true;
        return;
    }
    if (uv_pipe_init(listening->loop, &refusal->handle, 0) < 0)
        return;
    refusal->handle.data = refusal;
    refusal->is_busy = true;
    (void)uv_accept(listening, (uv_stream_t *)&refusal->handle);
    uv_close((uv_handle_t *)&refusal->handle, on_closed);
}
