<?php

declare(strict_types=1);

/*
 * workload.php ENDPOINT: a program as people write them. It knows one address, counts, writes and reads without a break,
 * and has no line of code about failover. What it lives through goes to standard output, one JSON object a line:
 *
 *   {"type":"bin", ...}    what happened in a tenth of a second
 *   {"type":"event", ...}  an event of the client
 *   {"type":"odd", ...}    anything that should not be, or that only an outcome-unknown operation explains
 */

const BIN = 0.1;
const OPERATIONS_PER_SECOND = 2_000;

require __DIR__ . '/Recorder.php';

$recorder = new FailoverDemo\Recorder(BIN);
$redis = new ResilientRedis($argv[1], ['command_timeout' => 5.0]);
$redis->onEvent(static fn (string $event, array $details) => $recorder->event($event, $details));

$stop = false;
if (function_exists('pcntl_async_signals')) {
    pcntl_async_signals(true);
    pcntl_signal(SIGTERM, static function () use (&$stop): void {
        $stop = true;
    });
}

$counter = 0;       // what the last acknowledged INCR answered
$unknown = 0;       // INCRs since then that may or may not have been applied
$due = FailoverDemo\Recorder::now();

for ($i = 0; !$stop; $i++) {
    $key = 'demo:' . $i % 500;
    foreach (['incr', 'set', 'get'] as $operation) {
        try {
            $reply = match ($operation) {
                'incr' => $redis->incr('demo:counter'),
                'set' => $redis->set($key, "$key $i"),
                'get' => $redis->get($key),
            };
            $recorder->done($operation !== 'get');
            if ($operation === 'incr') {
                $recorder->counted($reply, $counter, $unknown);
                [$counter, $unknown] = [$reply, 0];
            } elseif ($operation === 'get' && $reply !== "$key $i") {
                $recorder->otherValue($key, $reply);
            }
        } catch (ResilientRedis\OutcomeUnknown $exception) {
            $unknown += $operation === 'incr' ? 1 : 0;
            $recorder->unknown($operation, $exception);
        } catch (Throwable $exception) {
            $recorder->failed($operation, $exception);
        }

        // The pace of a busy program, but one that can be drawn. Time lost in a pause is not made up for.
        $due = max($due + 1 / OPERATIONS_PER_SECOND, FailoverDemo\Recorder::now() - 0.005);
        $early = $due - FailoverDemo\Recorder::now();
        if ($early > 0) {
            usleep((int) ($early * 1e6));
        }
    }
}

$recorder->finish();
