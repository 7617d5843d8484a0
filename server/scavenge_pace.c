/* The controller's constants are Go's (mgcscavenge.go), and so is that it is left alone for a while
 * when its numbers have gone astray. */
#include "server/scavenge_pace.h"

#include <math.h>

#define GAIN        0.3375
#define INTEGRAL_NS 3.2e6
#define RESET_NS    1e9
#define RATIO_MIN   0.001
#define RATIO_MAX   1000.0
#define COOLDOWN_NS 5e9

#define SHARE_MIN  0.01
#define SHARE_MAX  0.25
#define SURPLUS_NS 5e9 /* in which a surplus is to be gone, if SHARE_MAX allows */

bool ga_pi_controller_next(struct ga_pi_controller *controller, double input, double setpoint,
                           double period_ns, double *ret)
{
    double error = setpoint - input;
    double raw = GAIN * error + controller->error_integral;
    double output = raw < RATIO_MIN ? RATIO_MIN : raw > RATIO_MAX ? RATIO_MAX : raw;
    double integral = controller->error_integral + GAIN * period_ns / INTEGRAL_NS * error +
                      period_ns / RESET_NS * (output - raw);
    bool sound = isfinite(raw) && isfinite(integral);
    controller->error_integral = sound ? integral : 0;
    *ret = sound ? output : RATIO_MIN;
    return sound;
}

void ga_scavenge_pace_init(struct ga_scavenge_pace *pace)
{
    *pace = (struct ga_scavenge_pace){.ratio = RATIO_MIN, .target = SHARE_MIN};
}

void ga_scavenge_pace_begin(struct ga_scavenge_pace *pace)
{
    pace->target = SHARE_MIN;
}

/* The share that the surplus needs. It is not made less while a stretch lasts: what is left of the
 * surplus is to be gone as soon as the rest. */
static void raise_target(struct ga_scavenge_pace *pace, uint64_t worked_ns, uint64_t bytes,
                         uint64_t surplus_bytes)
{
    if (bytes > 0) {
        double measured = (double)worked_ns / (double)bytes;
        pace->ns_per_byte =
            pace->ns_per_byte > 0 ? 0.75 * pace->ns_per_byte + 0.25 * measured : measured;
    }
    double needed = (double)surplus_bytes * pace->ns_per_byte / SURPLUS_NS;
    if (pace->target < needed)
        pace->target = needed < SHARE_MAX ? needed : SHARE_MAX;
}

uint64_t ga_scavenge_pace_next(struct ga_scavenge_pace *pace, uint64_t worked_ns, uint64_t slept_ns,
                               uint64_t bytes, uint64_t surplus_bytes)
{
    double worked = (double)worked_ns;
    double period = worked + (double)slept_ns;
    raise_target(pace, worked_ns, bytes, surplus_bytes);
    if (pace->cooldown_ns > 0) {
        pace->cooldown_ns -= period;
    } else if (period > 0 && !ga_pi_controller_next(&pace->controller, worked / period,
                                                    pace->target, period, &pace->ratio)) {
        pace->cooldown_ns = COOLDOWN_NS;
    }
    /* Where a sleep was far too long, the next one is too short, and so on; so none is. */
    double sleep = worked / pace->ratio;
    double most = worked / pace->target * 2;
    return (uint64_t)(sleep < most ? sleep : most);
}
