<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;

require_once __DIR__ . '/autoload.php';

/**
 * The laboratory's scenarios, once each. Whether an operation fails, is in doubt or is applied twice does not depend on the
 * machine; for times there is slack, since this one may be busy. `make failover-lab` measures against the bars as they are.
 */
final class LabTest extends RedisTestCase
{
    private const SLACK = 4.0;

    /** @return iterable<string, array{string}> */
    public static function scenarios(): iterable
    {
        $names = [
            'killed-list', 'killed-dns', 'planned', 'replica-dies', 'hangs', 'dropped', 'replies-lost', 'set-nx-lost', 'idle-fin', 'idle-no-fin',
            'sentinel', 'split-brain', 'split-brain-min-replicas', 'fpm-50',
        ];
        foreach ($names as $name) {
            yield $name => [$name];
        }
    }

    /** @dataProvider scenarios */
    public function test_a_fault_costs_no_more_than_its_bar(string $name): void
    {
        $scenario = Scenarios::all()[$name];
        $lab = new Process([PHP_BINARY, '-d', 'extension=' . Extension::path(), __DIR__ . '/lab.php', '--json', "--only=$name"]);
        self::assertSame(0, $lab->wait(60.0), $lab->output() . $lab->errors());
        $figures = json_decode($lab->output(), true)[$name] ?? null;
        if (!$this->canBeRoot(is_array($figures), 'it needs namespaces, which this system lets nobody but root make')) {
            return;
        }
        self::assertSame([], $scenario->missed($figures, self::SLACK), self::seen($figures));
    }
}
