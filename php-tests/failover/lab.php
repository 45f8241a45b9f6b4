<?php

declare(strict_types=1);

/*
 * lab.php [--runs=N] [--only=NAME,NAME] [--peers] [--page=FILE] [--json]: runs the scenarios of the failover laboratory. It
 * puts itself into namespaces of its own, where the system allows that.
 */

use Tests\Failover\Clients;
use Tests\Failover\Enclosure;
use Tests\Failover\Report;
use Tests\Failover\Scenario;
use Tests\Failover\Scenarios;
use Tests\Support\Extension;

require __DIR__ . '/autoload.php';

pcntl_async_signals(true);
foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
    // exit() runs the shutdown functions, which end every server and remove every scratch folder.
    pcntl_signal($signal, static fn (): never => exit(128 + $signal));
}

$options = getopt('', ['runs:', 'only:', 'peers', 'page:', 'json']);
if (!Enclosure::isInside()) {
    $again = Enclosure::around([PHP_BINARY, ...(extension_loaded('resilient_redis') ? ['-d', 'extension=' . Extension::path()] : []), ...$argv]);
    if ($again !== null) {
        $program = proc_open($again, [STDIN, STDOUT, STDERR], $pipes);
        exit($program === false ? 1 : proc_close($program));
    }
    fwrite(STDERR, "This system lets us make no namespaces (run it as root): the scenarios that need them are left out.\n");
} else {
    Enclosure::furnish();
}

$runs = (int) ($options['runs'] ?? 5);
$scenarios = Scenarios::all();
if (isset($options['only'])) {
    $wanted = explode(',', $options['only']);
    $unknown = array_diff($wanted, array_keys($scenarios));
    if ($unknown !== []) {
        fwrite(STDERR, 'There is no scenario ' . implode(', ', $unknown) . '; there are: ' . implode(', ', array_keys($scenarios)) . "\n");
        exit(2);
    }
    $scenarios = array_intersect_key($scenarios, array_flip($wanted));
}
if (!Enclosure::isInside()) {
    $scenarios = array_filter($scenarios, static fn (Scenario $scenario): bool => !$scenario->enclosed);
}

if (isset($options['json'])) {
    $figures = array_map(static fn (Scenario $scenario): array => $scenario->run('resilient'), $scenarios);
    echo json_encode($figures, JSON_THROW_ON_ERROR), "\n";
    exit(0);
}

$report = new Report($runs);
$met = true;
foreach ($scenarios as $scenario) {
    foreach (['resilient', ...(isset($options['peers']) ? array_intersect(Clients::PEERS, $scenario->peers) : [])] as $client) {
        try {
            $met = $report->add($scenario, $client, array_map(static fn (): array => $scenario->run($client), range(1, $runs))) && $met;
        } catch (Throwable $failure) {
            $report->addFailure($scenario, $client, $failure);
            $met = $met && $client !== 'resilient';
        }
    }
}
if (isset($options['page'])) {
    file_put_contents($options['page'], $report->page($scenarios));
    echo "\nThe table: {$options['page']}\n";
}
exit($met ? 0 : 1);
